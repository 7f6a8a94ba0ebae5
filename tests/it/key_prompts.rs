//! Who is asked for a passphrase, in which words, and what becomes of the one who asks.

use std::thread;

use crate::support::keys::Pinentry;
use crate::support::{Terminal, World, wait_until};

/// A world in which `ghcr.io` is held for alice, and its key is sealed with `open sesame`. Nothing is on its PATH but what
/// the test puts there and Debian's programs.
fn sealed() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    world
}

/// A `get` on a terminal; its standard input is the request, as for Docker.
const GET: &str = "printf ghcr.io | docker-credential-coffer get";

const WHO_ASKS: &str = "docker-credential-coffer needs the passphrase of its key, to open ghcr.io";

fn is_answer(shown: &str) -> bool {
    shown.contains("\"Secret\":\"hunter2\"")
}

#[test]
fn pinentry_is_told_who_asks_and_for_which_server() {
    let world = sealed();
    let pinentry = Pinentry::install(&world, &["open sesame"]);
    world.get("ghcr.io/org/app").answers("ghcr.io/org/app", "alice", "hunter2");
    let told = pinentry.told();
    for line in [&format!("SETDESC {WHO_ASKS}"), "SETTITLE docker-credential-coffer", "SETPROMPT Passphrase:"] {
        assert!(told.iter().any(|told| told == line), "{line} is not in {told:#?}");
    }
    let call = world.coffer(&["get"]).env("GPG_TTY", "/dev/pts/77").env("TERM", "vt100");
    pinentry.answer(&["open sesame"]);
    call.input("ghcr.io").run().answers("ghcr.io", "alice", "hunter2");
    for line in ["OPTION ttyname=/dev/pts/77", "OPTION ttytype=vt100", "OPTION lc-ctype=C.UTF-8"] {
        assert!(pinentry.told().iter().any(|told| told == line), "{line} is not in {:#?}", pinentry.told());
    }
}

#[test]
fn a_wrong_passphrase_is_asked_for_again_three_times_in_all() {
    let world = sealed();
    let pinentry = Pinentry::install(&world, &["wrong", "open%20sesame"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert!(pinentry.told().iter().any(|line| line == "SETERROR That is not its passphrase."));
    pinentry.answer(&["one", "two", "three", "open sesame"]);
    world.get("ghcr.io").fails("the passphrase does not open the key in");
    assert_eq!(pinentry.asked(), 3);
}

#[test]
fn a_click_on_cancel_ends_it() {
    let world = sealed();
    let pinentry = Pinentry::install(&world, &["-", "open sesame"]);
    world.get("ghcr.io").fails("is locked: its passphrase was not given");
    assert_eq!(pinentry.asked(), 1);
}

/// A window that nobody sees must not outlive the request.
#[test]
fn a_pinentry_that_nobody_answers_is_ended_in_time() {
    let world = sealed();
    Pinentry::install(&world, &[]);
    let waited = world.get("ghcr.io");
    waited.fails("gave up after 19 s of waiting for the passphrase of the key");
    wait_until("the pinentry's end", || world.is_quiet());
}

#[test]
fn the_real_pinentries_ask_on_the_terminal() {
    for program in ["pinentry-curses", "pinentry-tty"] {
        let mut world = sealed();
        world.set("PINENTRY_PROGRAM", program);
        let mut terminal = Terminal::run(&world, GET);
        // The screen of curses breaks its lines where it likes.
        terminal.see("open").see("assphrase").write("wrong\r");
        terminal.see("not its").see("assphrase").write("open sesame\r");
        let (code, shown) = terminal.end();
        assert!(code == Some(0) && is_answer(&shown), "{program}: {shown}");
    }
}

#[test]
fn without_a_pinentry_the_terminal_is_asked() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    let mut terminal = Terminal::run(&world, GET);
    terminal.see(WHO_ASKS).see("Passphrase: ");
    assert!(!terminal.echoes());
    terminal.write("wrong\r").see("That is not its passphrase.").see("Passphrase: ");
    // Keys that edit the line: rub out, and begin anew.
    terminal.write("nonsense\u{15}open sesamé\u{7f}e\r");
    let (code, shown) = terminal.end();
    assert!(code == Some(0) && is_answer(&shown), "{shown}");
    assert!(!shown.contains("sesam") && !shown.contains("nonsense"), "what is typed is not shown: {shown}");
}

#[test]
fn an_interrupt_at_the_terminal_leaves_it_as_it_was() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    for key in ["\u{3}", "\u{4}"] {
        let mut terminal = Terminal::run(&world, GET);
        terminal.see("Passphrase: ").write(key);
        let (_, shown) = terminal.end();
        assert!(shown.contains("its passphrase was not given"), "{shown}");
    }
}

/// A cursor key begins as the escape key, which gives up. What was typed after it went to the shell.
#[test]
fn the_rest_of_a_passphrase_that_was_given_up_goes_nowhere() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    let mut terminal = Terminal::run(&world, &format!("{GET}; read -t 1 line; echo \"the shell read <$line>\""));
    terminal.see("Passphrase: ").write("open\u{1b}[D sesame\r");
    let (_, shown) = terminal.end();
    assert!(shown.contains("its passphrase was not given") && shown.contains("the shell read <>"), "{shown}");
}

#[test]
fn a_terminal_that_nobody_answers_is_left_as_it_was() {
    thread::scope(|scope| {
        for program in ["", "pinentry-curses", "pinentry-tty"] {
            scope.spawn(move || {
                let mut world = sealed();
                world.set("PINENTRY_PROGRAM", program);
                let mut terminal = Terminal::run(&world, GET);
                terminal.see("assphrase");
                // Ends only if the terminal echoes again.
                let (_, shown) = terminal.end();
                assert!(shown.contains("gave up after 19 s of waiting for the passphrase of the key"), "{shown}");
            });
        }
    });
}

/// It would be stopped by the terminal, with its time limit.
#[test]
fn a_process_in_the_background_leaves_the_terminal_alone() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    let command = format!("set -m; ({GET}) & wait $!");
    let (_, shown) = Terminal::run(&world, &command).end();
    assert!(shown.contains("there is neither a pinentry nor a terminal"), "{shown}");
}

/// As when docker pulls ten images at once.
#[test]
fn processes_ask_one_after_the_other() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    let mut terminal = Terminal::run(&world, &format!("({GET}) | cat & ({GET}) | cat & wait"));
    for _ in 0..2 {
        terminal.see("Passphrase: ").write("open sesame\r");
    }
    let (_, shown) = terminal.end();
    assert_eq!(shown.matches("hunter2").count(), 2, "{shown}");
    assert_eq!(shown.matches("Passphrase: ").count(), 2, "{shown}");
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let mut world = World::new();
    world.set("PINENTRY_PROGRAM", "");
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let mut terminal = Terminal::run(&world, "docker-credential-coffer key protect --passphrase");
    terminal.see("docker-credential-coffer needs a new passphrase for its key");
    terminal.see("New passphrase: ").write("one\r").see("Once more: ").write("two\r");
    terminal
        .see("They are not the same.")
        .see("New passphrase: ")
        .write("open sesame\r")
        .see("Once more: ")
        .write("open sesame\r");
    assert_eq!(terminal.end().0, Some(0));
    let pinentry = Pinentry::install(&world, &["open sesame"]);
    world.unset("PINENTRY_PROGRAM");
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");

    // Changed, with pinentry: the old one, and twice the new one.
    pinentry.answer(&["open sesame", "a new one", "a new one"]);
    world.coffer(&["key", "protect", "--passphrase"]).run().ok();
    pinentry.answer(&["open sesame", "open sesame", "a new one"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert_eq!(pinentry.asked(), 3);
    let empty = world.coffer(&["key", "protect", "--passphrase"]).input("a new one\n\n").run();
    assert!(empty.code == Some(1) && empty.stderr.contains("the passphrase is empty"), "{empty:#?}");
}
