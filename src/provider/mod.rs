//! What a provider is: three requests and their faults. Providers classify; the engine decides.

pub mod simulator;
