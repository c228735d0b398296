//! The real program as a real process: real HTTP on loopback, real files, real signals, and kill -9.

mod bench;
mod contract;
mod host;
mod http;
mod kill;
mod links;
mod official;
mod storm;
mod words;
