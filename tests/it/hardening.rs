//! The process itself: what others of the same user can see of it.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{World, login};

#[test]
fn a_waiting_process_cannot_be_dumped_and_shows_no_secret() {
    let world = World::new();
    let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let mut child = child.arg("store").stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let request = login("ghcr.io", "alice", "hunter2");
    input.write_all(&request.as_bytes()[..request.len() - 4]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let of = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let limits = of("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    for place in ["cmdline", "environ"] {
        assert!(!of(place).contains("hunter2"), "{place}");
    }
    // A process that cannot be dumped belongs to root in /proc, and nobody else's debugger may attach; as root
    // itself the flag shows in the owner alone when the process is not root's.
    let owner = std::fs::metadata(format!("/proc/{}/mem", child.id())).unwrap().uid();
    assert_eq!(owner, 0);
    input.write_all(&request.as_bytes()[request.len() - 4..]).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_listens_and_nothing_stays_behind() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let log = world.path("trace");
    let strace = [
        "-f",
        "-e",
        "trace=execve,connect,socket,bind",
        "-o",
        log.to_str().unwrap(),
        env!("CARGO_BIN_EXE_docker-credential-coffer"),
        "get",
    ];
    world.call("strace", &strace).input("ghcr.io").run().answers("ghcr.io", "alice", "hunter2");
    let calls = std::fs::read_to_string(log).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|line| !line.contains("exited")).collect();
    assert_eq!(calls.len(), 1, "one program, no connection: {calls:#?}");
}
