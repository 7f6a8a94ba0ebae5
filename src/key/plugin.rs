//! Identities that a plugin of age holds (YubiKey, TPM, Secure Enclave), over age's plugin protocol.
//!
//! What a plugin asks for is passed on to the person under the same rules as a passphrase. A plugin that hangs is ended with
//! the process: age starts it, and does not say which process it is.

use age::secrecy::SecretString;
use age::{Callbacks, plugin};

use super::prompt;
use crate::deadline::{self, CleanUp};
use crate::error::{Error, Result};
use crate::search_path;
use crate::trace;

/// The most that is shown of what a plugin says, in characters.
const MAX_SAID: usize = 300;

/// An identity of a plugin, ready to open files.
pub type Identity = plugin::IdentityPluginV1<Person>;

/// Fails if age, which looks in relative directories of the PATH too, would not start the plugin that is installed.
pub fn check(name: &str) -> Result<()> {
    if search_path::is_shadowed(&format!("age-plugin-{name}")) {
        return Err(Error::ShadowedPlugin(name.into()));
    }
    Ok(())
}

/// Identities, those of one plugin together. `purpose` is what they are wanted for, `may_prompt` whether somebody may be asked.
///
/// Fails if a plugin is not installed.
pub fn identities(identities: &[plugin::Identity], purpose: &str, may_prompt: bool) -> Result<Vec<Identity>> {
    let mut names: Vec<&str> = identities.iter().map(plugin::Identity::plugin).collect();
    names.sort_unstable();
    names.dedup();
    let ready = |name: &str| {
        check(name)?;
        let person = Person { plugin: name.to_owned(), purpose: purpose.to_owned(), may_prompt };
        plugin::IdentityPluginV1::new(name, identities, person).map_err(|_| Error::NoPlugin(name.into()))
    };
    names.into_iter().map(ready).collect()
}

/// What went wrong in plugins, in their own words. age's type for it has no public name.
pub fn failure<T: ToString>(errors: &[T]) -> Error {
    Error::Plugin(said(&errors.first().map_or_else(|| "without a word".into(), ToString::to_string)))
}

/// What age, or a plugin through it, says, in plain text. age puts marks of direction around names, which are not seen.
pub fn said(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !matches!(c, '\u{2066}'..='\u{2069}')).collect();
    prompt::shown(&seen, MAX_SAID)
}

/// Who a plugin talks to.
#[derive(Clone)]
pub struct Person {
    plugin: String,
    purpose: String,
    may_prompt: bool,
}

impl Callbacks for Person {
    /// Such as a request to touch the token: shown where a person may see it.
    fn display_message(&self, message: &str) {
        trace::tell(&format!("age-plugin-{}: {}", self.plugin, said(message)));
    }

    /// Nobody is asked to choose: a token that is not there is skipped.
    fn confirm(&self, _message: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _description: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let description = format!(
            "docker-credential-coffer, {}: age-plugin-{} says: {}",
            self.purpose,
            self.plugin,
            said(description)
        );
        self.may_prompt.then(|| prompt::for_plugin(&description)).flatten()
    }
}

/// Ends the plugins that run, if time is up as long as what is returned lives.
#[must_use]
pub fn watch() -> CleanUp {
    deadline::waiting_for("an age plugin, which may wait to be touched");
    deadline::if_time_is_up(end_children)
}

/// Ends whatever this process has started.
#[cfg(target_os = "linux")]
fn end_children() {
    use rustix::process::{Pid, Signal, kill_process};
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

/// Elsewhere a plugin sees the end of its input, and must end by itself.
#[cfg(not(target_os = "linux"))]
fn end_children() {}
