//! Small server on loopback that answers every request with one function, and records what it was sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// Server for one test. Its thread ends with the process.
pub(super) struct Host {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Starts a server. The function gets a request, and returns all bytes of its response.
    pub(super) fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let (mut request, mut piece) = (vec![], [0; 4096]);
                while !is_whole(&request) {
                    match connection.read(&mut piece) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => request.extend_from_slice(&piece[..n]),
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let response = answer(&text);
                kept.lock().unwrap().push(text);
                // A client that has read enough may close the connection.
                let _ = connection.write_all(&response);
            }
        });
        Self { url, requests }
    }

    /// Returns all requests so far, each with its head and its body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

/// Returns a response with these header lines, each of which ends with a line break.
pub(super) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let n_bytes = body.len();
    let head = format!("HTTP/1.1 {status} S\r\nContent-Length: {n_bytes}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
