//! Simulated API in a separate process, which can be stopped and restarted at the same address with other faults.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::bench::Bench;

/// Running `promptbatch simulate`, which is killed when this value is dropped.
pub struct Served {
    child: Child,
    pub url: String,
}

impl Served {
    pub fn new(bench: &Bench, more: &[&str]) -> Self {
        Self::at(bench, "0", more)
    }

    /// Restarts the API at the same address, with these settings.
    pub fn again(self, bench: &Bench, more: &[&str]) -> Self {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        drop(self);
        Self::at(bench, &port, more)
    }

    fn at(bench: &Bench, port: &str, more: &[&str]) -> Self {
        let mut args = vec!["simulate", "--port", port, "--image-size", "32x32"];
        args.extend(more);
        if !more.contains(&"--latency") {
            args.extend(["--latency", "100ms"]);
        }
        let mut child = bench.command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://"), "the simulator did not start at port {port}");
        Self { child, url: url.trim().to_owned() }
    }

    /// Returns one of the simulator's counts since it started.
    pub fn count(&self, name: &str) -> u64 {
        let mut connection = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        write!(connection, "GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let stats: serde_json::Value = serde_json::from_str(body).unwrap();
        stats[name].as_u64().unwrap_or_else(|| panic!("{name} in {stats}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
