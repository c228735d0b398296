//! Proxies that the environment names: SOCKS works, an address that is none is refused at once, and a dead proxy is named.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::bench::{Bench, expect_code, quick, stderr};
use crate::host::{Host, json, png, response};

/// SOCKS 5 proxy on loopback that connects every name to one server, and records the names.
struct Socks {
    address: String,
    names: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    fn to(server: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let names = Arc::new(Mutex::new(vec![]));
        let (kept, server) = (names.clone(), server.url.strip_prefix("http://").unwrap().to_owned());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (server, kept) = (server.clone(), kept.clone());
                std::thread::spawn(move || {
                    // Ignores a client that closes early.
                    let _ = connect(connection.unwrap(), &server, &kept);
                });
            }
        });
        Self { address, names }
    }
}

/// Serves one connection: no authentication, then CONNECT with a host name (RFC 1928).
fn connect(mut client: TcpStream, server: &str, names: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = [0; 2];
    client.read_exact(&mut head)?;
    client.read_exact(&mut vec![0; head[1].into()])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    client.read_exact(&mut request)?;
    assert_eq!(request[..4], [5, 1, 0, 3], "CONNECT to a host name");
    let mut name = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut name)?;
    name.truncate(request[4].into());
    names.lock().unwrap().push(String::from_utf8(name).unwrap());
    let mut upstream = TcpStream::connect(server)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let (mut from, mut to) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut upstream, &mut client)?;
    Ok(())
}

/// Goal: a SOCKS proxy carries the API and the images, and resolves their names. Method: names that only the proxy knows.
#[test]
fn a_socks_proxy_carries_everything() {
    let host = Host::new(|head| match head {
        head if head.starts_with("post") => json(r#"{"task_id":"t"}"#),
        head if head.contains("/tasks/") => {
            json(r#"{"task_status":"SUCCEED","output_images":["http://images.test/x.png"]}"#)
        }
        _ => response("200 OK", "", &png()),
    });
    let proxy = Socks::to(&host);
    let bench = Bench::new(quick());
    bench.write("p.txt", "a heron\n");
    let run = bench
        .command(&["run", "p.txt", "--base-url", "http://api.test"])
        .env("ALL_PROXY", format!("socks5h://{}", proxy.address))
        .output()
        .unwrap();
    expect_code(&run, 0);
    let names = proxy.names.lock().unwrap().clone();
    assert!(names.contains(&"api.test".to_owned()) && names.contains(&"images.test".to_owned()), "{names:?}");
    assert!(bench.path("out/p/images/000001-a-heron.png").is_file());
}

/// Goal: a variable that holds no usable proxy is named before the first request. Method: values of desktops and typing slips,
/// each with a secret in it.
#[test]
fn a_proxy_that_cannot_be_used_is_named_at_once() {
    let bench = Bench::new(quick());
    bench.write("p.txt", "a heron\n");
    for (variable, value) in [
        ("ALL_PROXY", "socks://u:geheim@127.0.0.1:7890"),
        ("https_proxy", "htp://u:geheim@127.0.0.1:7890"),
        ("HTTPS_PROXY", "http://u:geheim@127.0.0.1:port"),
    ] {
        let run = bench.command(&["run", "p.txt"]).env(variable, value).output().unwrap();
        expect_code(&run, 2);
        let words = stderr(&run);
        assert!(words.contains(&format!("could not use the proxy in {variable}: ")), "{words}");
        assert!(!words.contains("geheim"), "{words}");
    }
    // An API on this machine is never reached through a proxy.
    let run = bench.run_command("p.txt", &[]).env("ALL_PROXY", "socks://127.0.0.1:1").output().unwrap();
    expect_code(&run, 0);
}

/// Goal: a proxy that does not answer is named in the message, because the API itself may be well.
#[test]
fn a_dead_proxy_is_named() {
    let bench = Bench::new(quick());
    bench.write("p.txt", "a heron\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let args = ["run", "p.txt", "--max-outage", "1s"];
    let mut command = bench.command(&args);
    let run = command.env("HTTPS_PROXY", format!("http://{closed}")).env("NO_PROXY", "").output().unwrap();
    let words = stderr(&run);
    assert!(words.contains("(through the proxy in HTTPS_PROXY)"), "{words}");
    assert_eq!(run.status.code(), Some(75), "{words}");
}
