//! Whoever answers in AWS's place: behind an endpoint that was set, or a proxy with a certificate that was trusted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::{Aws, Reply, World};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A server on loopback that answers each request as `answer` does; its URL, and how often it was asked.
fn server(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                answer(&mut connection);
            });
        }
    });
    (url, asked)
}

fn world(url: &str) -> World {
    let mut world = World::new();
    world.set("AWS_ENDPOINT_URL", url);
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "a secret access key of nobody");
    world.config("[ecr]\ntimeout = \"5s\"\n");
    world
}

/// To another host, a request would carry the session's token and a signature.
#[test]
fn redirects_are_not_followed() {
    let (elsewhere, asked) = server(|connection| {
        let body =
            json!({ "authorizationData": [{ "authorizationToken": base64("AWS:elsewhere"), "expiresAt": 9e9 }] });
        let body = body.to_string();
        let _ = write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    });
    for status in [301, 302, 303, 307, 308] {
        let target = elsewhere.clone();
        let (url, first) = server(move |connection| {
            let _ = write!(
                connection,
                "HTTP/1.1 {status} X\r\nlocation: {target}/\r\nrefresh: 0;url={target}\r\ncontent-length: 0\r\n\r\n"
            );
        });
        let world = world(&url);
        world.get(HOST).fails("cannot mint a token");
        world.get("public.ecr.aws").misses();
        assert!(first.load(Ordering::SeqCst) > 0);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// No more of a reply is kept than any honest one has.
#[test]
fn replies_that_are_too_long_are_not_read_to_the_end() {
    let (url, _) = server(|connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.write_all(&[b'['; 1 << 16]).is_ok() {}
    });
    let outcome = world(&url).get(HOST);
    outcome.fails("length limit exceeded");
}

#[test]
fn replies_that_do_not_end_cost_no_more_than_their_time() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let slowly = |head: &'static str, part: &'static str| {
        move |connection: &mut TcpStream| {
            let _ = connection.write_all(head.as_bytes());
            while connection.write_all(part.as_bytes()).is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    };
    type Answer = Box<dyn Fn(&mut TcpStream) + Send + Sync>;
    let endless: [(&str, Answer); 5] = [
        ("a body", Box::new(slowly(chunked, "5\r\n[[[[[\r\n"))),
        ("a body without a length", Box::new(slowly("HTTP/1.1 200 OK\r\n\r\n", "[[[[["))),
        ("a line", Box::new(slowly("HTTP/1.1 200 ", "x"))),
        ("headers", Box::new(slowly("HTTP/1.1 200 OK\r\n", "x-y: z\r\n"))),
        ("informational replies", Box::new(slowly("", "HTTP/1.1 100 Continue\r\n\r\n"))),
    ];
    for (name, answer) in endless {
        let (url, _) = server(answer);
        let outcome = world(&url).get(HOST);
        assert!(outcome.took < Duration::from_secs(14), "{name}: {outcome:#?}");
        outcome.fails("cannot mint a token");
    }
}

/// Nothing is unpacked that was not asked to be packed.
#[test]
fn a_packed_reply_is_not_unpacked() {
    let mut bomb = Vec::new();
    let script = "head -c 300000000 /dev/zero | gzip -9";
    bomb.extend(std::process::Command::new("sh").args(["-c", script]).output().unwrap().stdout);
    assert!(bomb.len() < 400_000);
    for encoding in ["gzip", "deflate", "br", "gzip, gzip"] {
        let bomb = bomb.clone();
        let (url, _) = server(move |connection| {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", bomb.len());
            let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&bomb));
        });
        let world = world(&url);
        // 200 MB of address space hold this program and the packed reply, and not the rest.
        let outcome =
            world.call("sh", &["-c", "ulimit -d 200000; exec docker-credential-coffer get"]).input(HOST).run();
        assert!(outcome.took < Duration::from_secs(14), "{outcome:#?}");
        outcome.fails("cannot mint a token");
    }
}

/// The reply names a registry of its own choosing; a token is answered for the host that was asked for, and kept for it.
#[test]
fn a_token_is_for_the_host_that_was_asked_for_whatever_the_reply_says() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.store_login("ghcr.io", "alice", "hers").silent();
    for endpoint in ["https://ghcr.io", "https://999999999999.dkr.ecr.us-east-1.amazonaws.com", "../../x", "\u{1b}[31m"]
    {
        let entry = json!({ "authorizationToken": base64("AWS:evil"), "expiresAt": 9e9, "proxyEndpoint": endpoint });
        aws.reply(Reply::Text(json!({ "authorizationData": [entry, entry] }).to_string()));
        world.get(HOST).answers(HOST, "AWS", "evil");
        world.get("ghcr.io").answers("ghcr.io", "alice", "hers");
        let listed = world.coffer(&["list"]).run().ok();
        assert_eq!(listed, format!("{{\"{HOST}\":\"AWS\",\"ghcr.io\":\"alice\"}}\n"));
        world.coffer(&["erase"]).input(HOST).run().silent();
    }
}

/// AWS gives no token for more than twelve hours. One that says more would be answered as long as its maker likes.
#[test]
fn no_token_is_kept_longer_than_aws_gives_one() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    for expires in [
        "253402300799",
        "9223372036854775807",
        "1e300",
        "99999999999.5",
        "-1e300",
        "-1",
        "0",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-Infinity\"",
    ] {
        let token = base64("AWS:evil");
        aws.reply(Reply::Text(format!(
            "{{\"authorizationData\":[{{\"authorizationToken\":\"{token}\",\"expiresAt\":{expires}}}]}}"
        )));
        let outcome = world.get(HOST);
        assert!(outcome.code.is_some_and(|code| code < 2), "{expires}: {outcome:#?}");
        assert!(!outcome.said().contains("internal error"), "{expires}: {outcome:#?}");
        let said = world.coffer(&["explain", "--json", HOST]).run().ok();
        let explained: serde_json::Value = serde_json::from_str(&said).unwrap();
        if let Some(until) = explained["ecr"]["cached_until"].as_str() {
            let until: jiff::Timestamp = until.parse().unwrap();
            let half_a_day = SystemTime::now() + Duration::from_secs(12 * 3600 + 1);
            assert!(SystemTime::from(until) <= half_a_day, "{expires}: {until}");
        }
        world.coffer(&["erase"]).input(HOST).run().silent();
    }
    aws.reply(Reply::Text("{\"authorizationData\":[{\"authorizationToken\":\"x\",\"expiresAt\":NaN}]}".into()));
    world.get(HOST).fails("cannot mint a token");
}

#[test]
fn nothing_in_a_reply_reaches_the_terminal_raw() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    for user in ["AWS\n", "A\u{1b}[31mWS", "", "A\0"] {
        let token = base64(&format!("{user}:x"));
        aws.reply(Reply::Text(json!({ "authorizationData": [{ "authorizationToken": token }] }).to_string()));
        world.get(HOST).fails("malformed token");
    }
    // A password may hold anything, and is quoted as JSON has it.
    let odd = "two\nlines\u{1b}[31m\u{0}";
    let token = base64(&format!("AWS:{odd}"));
    aws.reply(Reply::Text(json!({ "authorizationData": [{ "authorizationToken": token }] }).to_string()));
    world.get(HOST).answers(HOST, "AWS", odd);
    assert_eq!(world.get(HOST).ok().lines().count(), 1);
    let mut long = String::from("no\u{1b}[31m\u{202e}\r\n");
    long += &"x".repeat(100_000);
    for code in ["AccessDeniedException", "ThrottlingException", "Odd\u{1b}[31m"] {
        aws.reply(Reply::Text(String::new()));
        aws.reply(Reply::Error(
            400,
            Box::leak(code.to_owned().into_boxed_str()),
            Box::leak(long.clone().into_boxed_str()),
        ));
        let outcome = world.get(HOST);
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!outcome.said().contains(obeyed) && outcome.said().len() < 3000, "{outcome:#?}");
        outcome.fails("cannot mint a token");
    }
}
