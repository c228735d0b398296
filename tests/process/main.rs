//! Tests of the real program as a real process: real HTTP on loopback, real files, real signals, and kill -9.

mod again;
mod begin;
mod bench;
mod books;
#[cfg(feature = "cloud")]
mod bucket;
mod choices;
mod chores;
mod clients;
mod contract;
#[cfg(feature = "cloud")]
mod deposits;
mod described;
mod disk;
mod edited;
mod errors;
mod evidence;
mod exports;
mod folders;
mod formats;
mod gallery;
mod hidden;
mod host;
mod hostile;
mod http;
mod inline;
mod kill;
mod library;
mod lines;
mod links;
mod mocks;
mod money;
mod official;
mod own_past;
mod parts;
mod pictures;
mod pipes;
mod played;
#[cfg(feature = "postgres")]
mod postgres;
mod progress;
mod proxies;
#[cfg(feature = "postgres")]
mod ray;
mod reach;
mod redo;
mod reports;
mod rights;
mod served;
mod sessions;
mod several;
mod shards;
#[cfg(feature = "postgres")]
mod shared;
#[cfg(feature = "postgres")]
mod shared_cost;
#[cfg(feature = "postgres")]
mod shared_faults;
#[cfg(feature = "postgres")]
mod shared_rate;
mod sizes;
mod slurm;
#[cfg(feature = "cloud")]
mod storage;
mod storm;
#[path = "../simulation/story.rs"]
mod story;
mod styles;
mod untrusted;
mod wild;
mod words;
