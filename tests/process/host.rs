//! Small servers with unfriendly behaviour, each for one test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use promptbatch::internals::simulator::Picture;

use crate::bench::Bench;

/// Server on loopback that answers every request with a function of its head, and records the heads.
pub struct Host {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Host {
    pub fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::talking(move |head, connection| {
            let _ = connection.write_all(&answer(head));
        })
    }

    /// Creates a server whose function writes the answers itself, at its own speed.
    pub fn talking(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(vec![]));
        let kept = heads.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let text = String::from_utf8_lossy(&read_request(&mut connection)).to_lowercase();
                let head = text.split("\r\n\r\n").next().unwrap().to_owned();
                kept.lock().unwrap().push(head.clone());
                answer(&head, &mut connection);
            }
        });
        Self { url, heads }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads a request to the last byte of its body. Empty if none comes.
///
/// A connection that is closed with unread bytes is reset, and the client loses what it has not read of the answer.
pub fn read_request(connection: &mut TcpStream) -> Vec<u8> {
    let mut request = vec![];
    let mut piece = [0; 4096];
    while !is_whole(&request) {
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => request.extend_from_slice(&piece[..n]),
        }
    }
    request
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}

pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn json(body: &str) -> Vec<u8> {
    response("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

pub fn png() -> Vec<u8> {
    Picture::new(7, "32x32".parse().unwrap()).png()
}

pub fn run_one(bench: &Bench, url: &str, more: &[&str]) -> std::process::Output {
    bench.write("one.csv", "prompt\na cat\n");
    let mut args = vec!["run", "one.csv", "-o", "out", "--base-url", url];
    // The bytes on disk are compared with those of the host.
    args.extend(["--metadata", "off"]);
    args.extend(more);
    bench.output(&args)
}

/// Starts an API that accepts everything and links to images on another host.
pub fn api_with_images_at(link: String) -> Host {
    Host::new(move |head| {
        if head.starts_with("post /v1/images/generations ") {
            return json(r#"{"task_id":5075521,"task_status":"SUCCEED","request_id":"r"}"#);
        }
        json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{link}"]}}"#))
    })
}
