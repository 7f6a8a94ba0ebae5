//! Where AWS gives temporary keys to who shows a token, outside of its APIs proper: the portal of SSO, the container's
//! service, and the instance's (IMDSv2).

use std::time::{Duration, SystemTime};

/// What is shown to each; the instance gives its own away.
const SSO: &str = "TOKEN-OF-SSO";
const CONTAINER: &str = "TOKEN-OF-THE-CONTAINER";
const INSTANCE: &str = "TOKEN-OF-THE-INSTANCE";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Status and body; `None` if none of them is meant. What the role is called becomes the key.
pub fn answer(path: &str, token: &str) -> Option<(u16, String)> {
    let (expected, body) = match path.split('?').next().unwrap_or_default() {
        "/federation/credentials" => {
            let role = path.split("role_name=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default();
            (SSO, sso(role))
        }
        "/container" => (CONTAINER, keys("ASIACONTAINER")),
        // What it gives is not yet shown.
        "/latest/api/token" => return Some((200, INSTANCE.into())),
        ROLES => (INSTANCE, "INSTANCE".into()),
        path => match path.strip_prefix(ROLES) {
            Some(role) => (INSTANCE, keys(&format!("ASIA{role}"))),
            None if path.starts_with("/latest/") => return Some((404, String::new())),
            None => return None,
        },
    };
    if token == expected { Some((200, body)) } else { Some((401, "{}".into())) }
}

/// A new token of SSO, for one that could be refreshed.
pub fn refreshed() -> String {
    serde_json::json!({ "accessToken": SSO, "expiresIn": 3600, "tokenType": "Bearer", "refreshToken": "next" })
        .to_string()
}

fn sso(role: &str) -> String {
    let end = (SystemTime::now() + LIFE).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() * 1000;
    serde_json::json!({ "roleCredentials": {
        "accessKeyId": format!("ASIA{role}"), "secretAccessKey": "s", "sessionToken": "t", "expiration": end,
    }})
    .to_string()
}

fn keys(id: &str) -> String {
    let now = jiff::Timestamp::now();
    serde_json::json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": format!("{now:.0}"),
        "AccessKeyId": id, "SecretAccessKey": "s", "Token": "t", "Expiration": format!("{:.0}", now + LIFE),
    })
    .to_string()
}

const LIFE: Duration = Duration::from_secs(6 * 3600);
