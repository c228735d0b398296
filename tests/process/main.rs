//! The real program as a real process: real HTTP on loopback, real files, real signals, and kill -9.

mod bench;
mod contract;
mod hostile;
mod http;
mod kill;
mod official;
mod storm;
mod untrusted;
mod wild;
mod words;
