//! Tests of the addresses that links may lead to: notations, host names, and the exception for the API's own network.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn reach(base: &str) -> AddressPolicy {
    AddressPolicy::with_proxies(&url(base), Arc::new(["proxy.example".to_owned()]))
}

fn is_open(reach: &AddressPolicy, link: &str) -> bool {
    reach.check(&url(link)).is_ok()
}

fn sockets(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
}

const PUBLIC: &str = "https://api.example";

#[test]
fn a_public_api_leads_to_no_inner_address_in_any_spelling() {
    let reach = reach(PUBLIC);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "user:pw@127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "167772161",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "0xc0a80101",
        "192.168.257",
        "169.254.169.254",
        "2852039166",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "100.64.0.1",
        "100.100.100.200",
        "[fc00::1]",
        "[fdab::1]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "0xffffffff",
        "240.0.0.1",
        "198.18.0.1",
        "[ff02::1]",
        "168.63.129.16",
    ] {
        assert!(!is_open(&reach, &format!("http://{host}/x.png")), "{host}");
    }
    for host in [
        "1.1.1.1",
        "images.example",
        "localhost",
        "[2606:4700::1111]",
        "172.32.0.1",
        "192.169.0.1",
        "16843009",
        "a.127.0.0.1.example",
    ] {
        assert!(is_open(&reach, &format!("http://{host}/x.png")), "{host}: a name is judged when it is resolved");
    }
}

#[test]
fn links_may_lead_to_where_the_api_itself_is_and_not_elsewhere_inside() {
    let homes = [
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://0.0.0.0:8080", "127.0.0.1"),
        ("http://[::1]:8080", "127.5.5.5"),
        ("http://10.0.0.5", "192.168.1.1"),
        ("http://[fd12::1]", "10.0.0.1"),
        ("http://100.64.0.1", "100.65.0.1"),
        ("http://169.254.0.1", "169.254.0.2"),
    ];
    let inside = ["127.0.0.1", "192.168.1.1", "100.65.0.1", "169.254.0.2"];
    for (base, home) in homes {
        let at_home = reach(base);
        assert!(is_open(&at_home, &format!("http://{home}/x")), "{base}");
        let realm_of = |text: &str| realm(text.parse().unwrap());
        for other in inside.into_iter().filter(|other| realm_of(other) != realm_of(home)) {
            assert!(!is_open(&at_home, &format!("http://{other}/x")), "{base}: {other}");
        }
        assert!(is_open(&at_home, "http://1.1.1.1/x") && !is_open(&at_home, "http://169.254.169.254/x"), "{base}");
        assert!(!is_open(&at_home, "http://100.100.100.200/x") && !is_open(&at_home, "http://224.0.0.1/x"), "{base}");
        assert!(!at_home.is_quotable(), "{base}");
    }
    assert!(reach(PUBLIC).is_quotable() && reach("http://1.1.1.1").is_quotable());
}

#[test]
fn an_api_for_tests_or_behind_a_tunnel_leads_to_addresses_like_its_own() {
    for (base, link) in [("http://198.18.0.1", "http://198.19.0.1/x"), ("http://192.0.2.1", "http://198.51.100.1/x")] {
        let reach = reach(base);
        assert!(is_open(&reach, link) && !is_open(&reach, "http://127.0.0.1/x") && reach.is_quotable(), "{base}");
    }
}

#[test]
fn of_a_name_only_open_addresses_are_connected_to() {
    let reach = reach(PUBLIC);
    let kept = |found: &[&str]| reach.filter("x.example", sockets(found));
    assert_eq!(kept(&["1.1.1.1", "2606:4700::1"]), Ok(sockets(&["1.1.1.1", "2606:4700::1"])));
    assert_eq!(kept(&["127.0.0.1", "1.1.1.1", "::1"]), Ok(sockets(&["1.1.1.1"])));
    assert_eq!(kept(&["198.18.3.4"]), Ok(sockets(&["198.18.3.4"])), "what a tunnel answers for every name");
    assert_eq!(kept(&[]), Ok(vec![]), "an unknown host is another error");
    for inner in
        ["127.0.0.1", "::1", "10.1.1.1", "169.254.169.254", "::ffff:192.168.0.1", "100.64.1.1", "0.0.0.0", "fe80::1"]
    {
        let words = kept(&[inner]).unwrap_err().to_string();
        assert!(words.starts_with(&format!("images are not fetched from x.example at {inner}, ")), "{words}");
    }
}

#[test]
fn the_realm_of_an_api_with_a_name_is_the_most_public_that_it_was_found_in() {
    let reach = reach("http://gpu-box:8080");
    let found = |addresses: &[&str]| sockets(addresses).iter().for_each(|address| reach.note_api(address.ip()));
    assert!(!is_open(&reach, "http://192.168.1.5/x"), "nothing is known of it before it was asked");
    found(&["192.168.1.5"]);
    assert!(is_open(&reach, "http://192.168.1.6/x") && !is_open(&reach, "http://127.0.0.1/x"));
    assert_eq!(reach.filter("gpu-box", sockets(&["192.168.1.5", "127.0.0.1"])), Ok(sockets(&["192.168.1.5"])));
    found(&["127.0.1.1"]);
    assert!(is_open(&reach, "http://127.0.0.1/x"), "it is on this machine and in its network");
    // The name now resolves to a public address, so the API counts as public from now on.
    found(&["1.1.1.1"]);
    assert!(!is_open(&reach, "http://127.0.0.1/x") && !is_open(&reach, "http://192.168.1.6/x"));
    assert!(reach.is_quotable());
}

#[test]
fn a_proxy_is_reached_and_is_no_image_host() {
    let reach = reach(PUBLIC);
    assert_eq!(reach.filter("Proxy.example", sockets(&["10.0.0.1"])), Ok(sockets(&["10.0.0.1"])));
    let words = reach.check(&url("http://PROXY.example:3128/x")).unwrap_err().to_string();
    assert!(words.contains("the proxy of this machine"), "{words}");
    for (text, host) in [
        ("http://proxy.corp:3128", Some("proxy.corp")),
        ("proxy.corp:3128", Some("proxy.corp")),
        ("http://user:pw@Proxy.corp", Some("proxy.corp")),
        ("socks5://p:1080", Some("p")),
        ("", None),
    ] {
        assert_eq!(host_of_proxy(text).as_deref(), host, "{text}");
    }
}

#[tokio::test]
async fn a_name_that_is_this_machine_is_refused_when_it_is_resolved() {
    let name = || "localhost".parse().expect("a name");
    let error = reach(PUBLIC).image_resolver().resolve(name()).await.err().expect("this machine");
    assert!(ForbiddenAddress::among(&*error).is_some(), "{error}");
    let at_home = reach("http://127.0.0.1:1").image_resolver().resolve(name()).await.expect("where the API is");
    assert!(at_home.count() > 0);
    let named = reach("http://localhost:1");
    assert!(named.image_resolver().resolve(name()).await.is_err(), "not found yet");
    assert!(named.api_resolver().resolve(name()).await.is_ok_and(|found| found.count() > 0));
    assert!(named.image_resolver().resolve(name()).await.is_ok());
}
