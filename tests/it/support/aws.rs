//! AWS on loopback: speaks the ECR and ECR Public APIs' JSON and STS's query protocol, gives keys where `aws_keys` does,
//! says what it was asked, and is late, wrong or silent when told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{World, aws_keys};

/// How requests for tokens are answered.
#[derive(Clone)]
pub enum Reply {
    /// With a token that lives for so many seconds (or died so many ago): password `token-N`, counted from 1.
    Token(i64),
    /// With an error of the API: status, code, message.
    Error(u16, &'static str, &'static str),
    /// With this text.
    Text(String),
    /// Not at all.
    Silence,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The operation, or the path where the path says it.
    pub operation: String,
    /// `KEY/DATE/REGION/SERVICE` of the signature.
    pub scope: String,
    /// The token that was shown in place of a signature.
    pub token: String,
    /// The body.
    pub body: String,
    /// When it had been read.
    pub at: Instant,
}

/// The server. Ends with the test's process.
pub struct Aws {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    reply: Reply,
    delay: Duration,
    asked: Vec<Asked>,
    tokens: u32,
    codes: Vec<String>,
    session: u64,
}

impl Aws {
    /// Starts it. The variables of the world point to it, with keys of nobody.
    pub fn start(world: &mut World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            reply: Reply::Token(12 * 3600),
            delay: Duration::ZERO,
            asked: Vec::new(),
            tokens: 0,
            codes: Vec::new(),
            session: 36 * 3600,
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || converse(connection, &state));
            }
        });
        world.set("AWS_ENDPOINT_URL", &url);
        world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        world.set("AWS_SECRET_ACCESS_KEY", "a secret access key of nobody");
        Self { url, state }
    }

    pub fn reply(&self, reply: Reply) {
        self.state.lock().unwrap().reply = reply;
    }

    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// How many seconds the sessions live that codes of MFA devices begin.
    pub fn sessions_live(&self, seconds: u64) {
        self.state.lock().unwrap().session = seconds;
    }

    /// Everything it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How many tokens it was asked for.
    pub fn calls(&self) -> usize {
        self.asked_for_tokens().len()
    }

    /// What it was asked for tokens. The first was answered `token-1`.
    pub fn asked_for_tokens(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.operation.ends_with("GetAuthorizationToken")).collect()
    }
}

/// One request a connection.
fn converse(mut connection: TcpStream, state: &Mutex<State>) {
    let Some(asked) = read_request(&connection) else { return };
    let (delay, reply) = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        (state.delay, answer(&mut state, &asked))
    };
    thread::sleep(delay);
    let Some((status, body)) = reply else {
        // Held open until the client gives up.
        let _ = connection.read(&mut [0]);
        return;
    };
    let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
    // The life is that of the instance service's tokens; to others it says nothing.
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\
         x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all((head + &body).as_bytes());
}

fn read_request(connection: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(connection);
    let (mut target, mut scope, mut token, mut length) = (String::new(), String::new(), String::new(), 0);
    let mut first = String::new();
    // Nothing at all: whoever connected has given up.
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    for line in reader.by_ref().lines() {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => target = value.trim().into(),
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => {
                let credential = value.split("Credential=").nth(1).unwrap_or_default();
                scope = credential.split("/aws4_request").next().unwrap_or_default().into();
                if scope.is_empty() {
                    token = value.trim().into();
                }
            }
            "x-amz-sso_bearer_token" | "x-aws-ec2-metadata-token" => token = value.trim().into(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    if target.is_empty() {
        let action = body.strip_prefix("Action=").map(|action| action.split('&').next().unwrap_or_default());
        target = action.or(first.split(' ').nth(1)).unwrap_or_default().into();
    }
    Some(Asked { operation: target, scope, token, body, at: Instant::now() })
}

/// Status and body, or silence.
fn answer(state: &mut State, asked: &Asked) -> Option<(u16, String)> {
    match asked.operation.as_str() {
        name @ ("AssumeRole" | "AssumeRoleWithWebIdentity") => return Some((200, assumed(name, &asked.body))),
        "GetSessionToken" => return Some(session(state, &asked.body)),
        "/token" => return Some((200, aws_keys::refreshed())),
        path => {
            if let Some(answer) = aws_keys::answer(path, &asked.token) {
                return Some(answer);
            }
        }
    }
    match state.reply.clone() {
        Reply::Token(life) => {
            state.tokens += 1;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
            let data = serde_json::json!({
                "authorizationToken": STANDARD.encode(format!("AWS:token-{}", state.tokens)),
                "expiresAt": now + life as f64,
                "proxyEndpoint": "https://example",
            });
            // ECR answers with a list, ECR Public with one.
            let data = if asked.operation.starts_with("Spencer") { data } else { serde_json::json!([data]) };
            Some((200, serde_json::json!({ "authorizationData": data }).to_string()))
        }
        Reply::Error(status, code, message) => {
            Some((status, serde_json::json!({ "__type": code, "message": message }).to_string()))
        }
        Reply::Text(text) => Some((200, text)),
        Reply::Silence => None,
    }
}

/// The role's name becomes the key, so that it can be seen who asks next.
fn assumed(operation: &str, body: &str) -> String {
    let role = body.split("role%2F").nth(1).unwrap_or_default().split('&').next().unwrap_or_default();
    let user = "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/x/y</Arn><AssumedRoleId>A:y</AssumedRoleId></AssumedRoleUser>";
    let keys = keys(&format!("ASIA{role}"), 3600);
    format!(
        "<{operation}Response xmlns=\"{STS}\"><{operation}Result>{keys}{user}</{operation}Result></{operation}Response>"
    )
}

/// A session, for a code that was not given before: AWS takes each once.
fn session(state: &mut State, body: &str) -> (u16, String) {
    let code = body.split("TokenCode=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default().to_owned();
    if code.is_empty() || state.codes.contains(&code) {
        let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
        let error = format!("<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>");
        return (403, format!("<ErrorResponse xmlns=\"{STS}\">{error}<RequestId>1</RequestId></ErrorResponse>"));
    }
    state.codes.push(code);
    let keys = keys("ASIASESSION", state.session);
    (
        200,
        format!(
            "<GetSessionTokenResponse xmlns=\"{STS}\"><GetSessionTokenResult>{keys}</GetSessionTokenResult></GetSessionTokenResponse>"
        ),
    )
}

const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Temporary keys that live for so many seconds.
fn keys(id: &str, life: u64) -> String {
    let end = jiff::Timestamp::try_from(SystemTime::now() + Duration::from_secs(life)).unwrap();
    format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>SECRET-OF-THE-SESSION</SecretAccessKey>\
         <SessionToken>TOKEN-OF-THE-SESSION</SessionToken><Expiration>{end:.0}</Expiration></Credentials>"
    )
}
