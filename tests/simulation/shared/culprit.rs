//! Name of the world that is being played, for the message of a check that fails.

/// Prints the world, if a check panics.
pub struct Culprit(pub String);

impl Drop for Culprit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("world: {}", self.0);
        }
    }
}
