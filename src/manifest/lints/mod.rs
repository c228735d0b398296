//! Lints of any format: files and texts that were made for other programs, and texts that are damaged or mean nothing.
//!
//! Prompts are never changed. What is plainly not meant is a mistake; what only resembles a fault is a warning. The option
//! `verbatim` of the source turns these lints off. Each kind has its file, with its rules as a table.

mod damage;
pub(crate) mod entries;
pub(crate) mod foreign_files;
pub(crate) mod foreign_lists;
mod foreign_texts;
pub(crate) mod foreign_vars;
mod guards;
pub(crate) mod seeds;
mod switches;
mod words;
