//! The process itself: what others of the same user can see of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::support::{World, chmod, login, wait_until};

#[test]
fn a_waiting_process_shows_no_secret() {
    let world = World::new();
    let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let mut child = child.arg("store").stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let request = login("ghcr.io", "alice", "hunter2");
    input.write_all(&request.as_bytes()[..request.len() - 4]).unwrap();
    let of = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    wait_until("a limit of no core at all", || {
        let limits = of("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        core.split_whitespace().nth(4) == Some("0")
    });
    for place in ["cmdline", "environ"] {
        assert!(!of(place).contains("hunter2"), "{place}");
    }
    input.write_all(&request.as_bytes()[request.len() - 4..]).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// The kernel gives the files of a process that cannot be dumped to root, and lets nobody else's debugger attach.
#[test]
fn a_waiting_process_cannot_be_dumped() {
    let world = World::new();
    chmod(&world.path(""), 0o755);
    let program = world.path("bin/coffer");
    chmod(&world.path("bin"), 0o755);
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
    // Root's processes belong to root anyway.
    let as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let call: Vec<&str> = if is_root { as_nobody.to_vec() } else { vec!["env"] };
    let mut command = world.command(call[0]);
    command.args(&call[1..]).arg(&program).arg("get").current_dir("/");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let of = |name: &str| fs::metadata(format!("/proc/{}/{name}", child.id())).unwrap().uid();
    // Not the directory, which tells the user; what is inside.
    wait_until("that its files are root's", || (of("mem"), of("maps"), of("environ")) == (0, 0, 0));
    drop(input);
    child.wait().unwrap();
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
    let calls = fs::read_to_string(log).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|line| !line.contains("exited")).collect();
    assert_eq!(calls.len(), 1, "one program, no connection: {calls:#?}");
}
