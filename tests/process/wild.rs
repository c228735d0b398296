//! Server that writes arbitrary and endless answers, and the program with limited memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::bench::Bench;

/// Server on loopback that answers each connection once, on a separate thread.
pub struct Wild {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Wild {
    /// Creates a server. `answer` receives the whole request and writes anything. The client may close the connection
    /// at any time.
    pub fn new(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, heads) = (Arc::new(answer), Arc::new(Mutex::new(vec![])));
        let kept = heads.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (mut connection, answer, kept) = (connection.unwrap(), answer.clone(), kept.clone());
                thread::spawn(move || {
                    let request = request(&mut connection);
                    kept.lock().unwrap().push(request.clone());
                    let _ = answer(&request, &mut connection);
                });
            }
        });
        Self { url, heads }
    }

    /// Returns the number of requests that started with `begin`.
    pub fn n_requests(&self, begin: &str) -> usize {
        self.heads.lock().unwrap().iter().filter(|head| head.starts_with(begin)).count()
    }
}

/// Reads the head and the body of a request.
fn request(connection: &mut TcpStream) -> String {
    let mut bytes = vec![];
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

/// Writes a complete answer.
pub fn respond(connection: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    connection.write_all(&[head.as_bytes(), body].concat())
}

/// Writes the same bytes again and again, until the client closes the connection.
pub fn for_ever(connection: &mut TcpStream, begin: &[u8], again: &[u8]) -> std::io::Result<()> {
    pour(connection, begin, &again.repeat(1 + 65_536 / again.len()), Duration::from_millis(5))
}

/// Writes the same bytes, one piece at a time with pauses. A byte-by-byte parser without optimization would otherwise
/// be busy for too long.
pub fn slowly(connection: &mut TcpStream, begin: &[u8], again: &[u8]) -> std::io::Result<()> {
    pour(connection, begin, &again.repeat(100), Duration::from_millis(20))
}

fn pour(connection: &mut TcpStream, begin: &[u8], piece: &[u8], pause: Duration) -> std::io::Result<()> {
    connection.write_all(begin)?;
    loop {
        connection.write_all(piece)?;
        thread::sleep(pause);
    }
}

/// Returns the program with 1 GB of address space. Filling the memory ends it, and the test fails.
pub fn caged(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(&[]);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    let program = command.get_program().to_owned();
    command = Command::new("sh");
    command.args(["-c", "ulimit -v 1000000 && exec \"$0\" \"$@\""]).arg(program).args(args);
    command.env_clear().envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(bench.folder.path()).stdin(std::process::Stdio::null());
    command
}
