//! The real program as a real process: real HTTP on loopback, real files, real signals, and kill -9.

mod again;
mod begin;
mod bench;
mod books;
mod chores;
mod contract;
mod disk;
mod edited;
mod errors;
mod exports;
mod formats;
mod gallery;
mod host;
mod hostile;
mod http;
mod kill;
mod library;
mod lines;
mod links;
mod official;
mod progress;
mod reports;
mod rights;
mod served;
mod sessions;
mod storm;
#[path = "../simulation/story.rs"]
mod story;
mod styles;
mod untrusted;
mod wild;
mod words;
