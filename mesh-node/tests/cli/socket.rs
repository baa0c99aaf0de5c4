//! The control socket as a program in another language finds it, and as a hostile one would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::stage::Stage;

fn connect(stage: &Stage) -> UnixStream {
    UnixStream::connect(stage.home().join("control.sock")).unwrap()
}

/// Sends bytes as they are and reads the first line of the answer.
fn check(stage: &Stage, request: &[u8], expected: &str) {
    let mut stream = connect(stage);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains(expected), "{answer:?} lacks {expected:?}");
}

#[test]
fn a_02_nobody_else_can_open_the_socket_or_its_directory() {
    let stage = Stage::new();
    let _node = stage.up();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(stage.home()), 0o700);
    assert_eq!(mode(stage.home().join("control.sock")), 0o600);
}

#[test]
fn requests_nobody_knows_are_answered_in_words() {
    let stage = Stage::new();
    let _node = stage.up();
    let usage = "{\"error\":{\"kind\":\"usage\"";
    check(&stage, b"\"status\"\n", "{\"status\":{\"node\":");
    check(&stage, b"\"id\"\n", usage);
    check(&stage, b"\"id\"\n", "no such request: unknown variant `id`");
    check(&stage, b"\n", usage);
    check(&stage, b"\xff\xfe\n", usage);
    check(&stage, b"{\"feed\":{\"channel\":\"news\",\"follow\":true,\"since\":1}}\n", "since");
    check(&stage, &[&[b'['; 60_000][..], b"\n"].concat(), usage);
    check(&stage, &[b' '; 70_000], "at most 65536 bytes");
    // A path that means something else where the node runs.
    stage.run(&["channel", "new", "news"]);
    let relative = b"{\"publish\":{\"channel\":\"news\",\"paths\":[\"etc\"]}}\n";
    check(&stage, relative, "not an absolute path");
}

#[test]
fn a_request_and_nothing_more_is_answered_even_if_the_client_says_no_more() {
    let stage = Stage::new();
    let _node = stage.up();
    let mut stream = connect(&stage);
    stream.write_all(b"\"identity\"\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"identity\":") && answer.ends_with("\n\"done\"\n"), "{answer}");
}

#[test]
fn clients_that_never_read_or_never_ask_hold_up_nobody_and_leave_when_they_close() {
    let stage = Stage::new();
    let _node = stage.up();
    stage.run(&["channel", "new", "news"]);
    let mut clients: Vec<_> = (0..64).map(|_| connect(&stage)).collect();
    for client in clients.iter_mut().step_by(2) {
        client.write_all(b"{\"feed\":{\"channel\":\"news\",\"follow\":true}}\n").unwrap();
    }
    // They are all being answered: one more is not, and is told so at once.
    let mut answer = String::new();
    BufReader::new(connect(&stage)).read_line(&mut answer).unwrap();
    assert!(answer.contains("try again later"), "{answer}");
    stage.run(&["id"]).fails(5, &["try again later"]);
    drop(clients);
    // Their places become free as soon as the node sees that they have gone.
    while stage.run(&["id"]).code != Some(0) {}
}
