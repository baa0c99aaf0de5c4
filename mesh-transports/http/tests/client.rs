//! The client against a server that does what servers do, good and bad.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::thread;

use mesh_http::{Client, Error, Servers};

/// A server that gives `answer` to every request, and hears what was asked.
fn server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while let Some(Ok(line)) = lines.next() {
                if line.is_empty() {
                    break;
                }
                request.push_str(&line);
                request.push('\n');
            }
            // A client that has seen enough hangs up.
            let _ = stream.write_all(&answer(&request));
        }
    });
    at
}

fn get(at: SocketAddr, range: Option<Range<u64>>, most: usize) -> Result<Vec<u8>, Error> {
    let url = format!("http://{at}/file");
    Client::default().get(&url, range, (most, Servers::Anywhere)).map(|bytes| bytes.to_vec())
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn check(reply: Vec<u8>, range: Option<Range<u64>>, expected: Result<&[u8], &str>) {
    let at = server(move |_| reply.clone());
    let got = get(at, range, 8).map_err(|error| error.to_string());
    match (got, expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
        (got, expected) => panic!("{got:?} and not {expected:?}"),
    }
}

// spec: SYNC-59
#[test]
fn servers_of_every_kind_are_understood() {
    let file = b"0123456789";
    let part = "206 Partial Content\r\ncontent-range: bytes 2-4/10";
    check(answer("200 OK", b"01234567"), None, Ok(b"01234567"));
    check(answer(part, b"234"), Some(2..5), Ok(b"234"));
    check(answer("200 OK", file), Some(2..5), Ok(b"234"));
    check(answer("200 OK", file), Some(8..99), Ok(b"89"));
    check(answer("200 OK", file), Some(10..12), Err("no such file"));
    check(answer("416 Range Not Satisfiable", b""), Some(10..12), Err("no such file"));
    check(answer("404 Not Found", b"gone"), None, Err("no such file"));
    check(answer("500 Oops", b""), None, Err("answered 500"));
    check(answer(part, b"345"), Some(3..6), Err("another part"));
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n012".to_vec(), None, Err("broke off"));
    check(b"gibberish\r\n\r\n".to_vec(), None, Err(""));
    let large = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n0".to_vec();
    check(large, Some(1..2), Err("no parts of files"));
}

// spec: SYNC-59
#[test]
fn no_more_is_taken_than_was_asked_for() {
    check(answer("200 OK", &[7; 100_000]), None, Ok(&[7; 8]));
    let part = "206 Partial Content\r\ncontent-range: bytes 0-99999/100000";
    check(answer(part, &[7; 100_000]), Some(0..3), Ok(&[7; 3]));
}

// spec: SYNC-59
#[test]
fn a_request_says_which_bytes_it_wants_and_nothing_of_who_asks() {
    let at = server(|request| answer("200 OK", request.as_bytes()));
    let request = get(at, None, 10_000).unwrap();
    let request = String::from_utf8(request).unwrap().to_lowercase();
    let known = ["get /file http/1.1", "host:", "user-agent: mesh", "accept"];
    for line in request.lines() {
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
        assert!(!line.contains("cookie") && !line.contains("rust"), "{line}");
    }
    let at = server(|request| {
        let range = request.to_lowercase().contains("range: bytes=5-9\n");
        answer("206 Partial Content\r\ncontent-range: bytes 5-9/10", &[u8::from(range)])
    });
    assert_eq!(get(at, Some(5..10), 10), Ok(vec![1]));
}

// spec: SYNC-57
#[test]
fn servers_at_home_are_asked_only_where_somebody_said_so() {
    let at = server(|_| answer("200 OK", b"secret"));
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/file", at.port());
        let got = Client::default().get(&url, None, (8, Servers::Public));
        assert!(matches!(&got, Err(Error::Failed(why)) if why.contains("in reach")), "{got:?}");
    }
    assert_eq!(get(at, None, 8), Ok(b"secret".to_vec()));
}

// spec: SYNC-57
#[test]
fn a_server_that_somebody_named_leads_to_no_other() {
    let other = server(|_| answer("200 OK", b"secret"));
    let head = format!("302 Found\r\nlocation: http://{other}/file");
    check(answer(&head, b""), None, Err("it moved"));
}
