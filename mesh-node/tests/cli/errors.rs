//! What is said when something is wrong, and with which exit code.

use std::io::{BufRead, BufReader, Read};

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{Ran, Stage};

#[test]
fn without_a_node_every_command_says_how_to_start_one() {
    let stage = Stage::new();
    let link = format!("mesh:{}", "a".repeat(60));
    for arguments in [
        &["id"][..],
        &["status"],
        &["status", "--watch"],
        &["channel", "new", "news"],
        &["channel", "list"],
        &["publish", "news", "--text", "hello"],
        &["unfollow", "news"],
        &["feed", "news"],
        &["get", "news", "1"],
        &["doctor"],
        &["doctor", "news"],
    ] {
        let home = stage.home();
        stage.run(arguments).fails(3, &[home.to_str().unwrap(), "start one with `mesh up`"]);
    }
    // Nor does asking make a home.
    assert!(!stage.home().exists());
    stage.run(&["follow", &link]).fails(2, &["link"]);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let stage = Stage::new();
    for arguments in [
        &[][..],
        &["fly"],
        &["follow", "mesh:tooshort"],
        &["follow", "https://example.org"],
        &["publish", "news"],
        &["get", "news"],
        &["get", "news", "1", "--wait", "soon"],
        &["up", "--peer", "192.0.2.7"],
        &["up", "--listen", "everywhere"],
        &["demo", "/no/such/path"],
    ] {
        assert_eq!(stage.run(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_second_node_in_one_home_is_told_which_process_has_it() {
    let stage = Stage::new();
    let node = stage.up();
    let pid = format!("process {}", node.child.id());
    stage.run(&["up", "--headless"]).fails(6, &[&pid, "--home"]);
    // The first goes on.
    assert_eq!(stage.run(&["id"]).code, Some(0));
}

#[test]
fn a_home_of_a_newer_program_is_refused_in_words_and_left_alone() {
    let stage = Stage::new();
    drop(stage.up());
    let version = stage.home().join("version");
    std::fs::write(&version, "999\n").unwrap();
    stage.run(&["up", "--headless"]).fails(1, &["newer mesh", "--home"]);
    assert_eq!(std::fs::read_to_string(&version).unwrap(), "999\n");
}

#[test]
fn a_home_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    std::fs::create_dir(stage.home()).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(stage.home(), open).unwrap();
    stage.run(&["up", "--headless"]).fails(6, &["chmod 700"]);
}

#[test]
fn a_node_that_is_told_to_stop_says_goodbye_and_exits_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let stage = Stage::new();
        let mut node = stage.up();
        kill_process(Pid::from_child(&node.child), signal).unwrap();
        let mut rest = String::new();
        node.lines.read_to_string(&mut rest).unwrap();
        assert_eq!(node.child.wait().unwrap().code(), Some(0));
        assert!(rest.ends_with("{\"event\":\"stopped\"}\n"), "{rest}");
        assert!(!stage.home().join("control.sock").exists());
    }
}

#[test]
fn a_command_that_is_interrupted_exits_with_130() {
    let stage = Stage::new();
    let _node = stage.up();
    let mut child = stage.command(&["status", "--watch", "--json"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    Ran::from(child.wait_with_output().unwrap()).fails(130, &[]);
}

#[test]
fn a_killed_node_can_be_started_again() {
    let stage = Stage::new();
    let first = stage.up();
    let id = first.ready["id"].clone();
    drop(first);
    // Its socket is still there, but nobody answers.
    stage.run(&["id"]).fails(3, &["no node is running"]);
    assert_eq!(stage.up().ready["id"], id);
}
