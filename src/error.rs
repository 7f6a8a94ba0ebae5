//! Everything that can go wrong, in one enum.
//!
//! The message (`Display`) is one line that says what happened and names the file, the server or the
//! program; [`Error::hint`] says what to do about it. Neither may ever quote a secret, nor input that
//! failed to parse where a secret was expected: a position stands in for it.

use std::io;
use std::path::PathBuf;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened. One variant a cause that a user, or a caller, can tell from the others.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is held for the server. Clients compare this sentence, whole.
    #[error("credentials not found in native keychain")]
    NotFound,
    /// The request names no server. Clients compare this sentence, whole.
    #[error("no credentials server URL")]
    NoServer,
    /// The request names no user. Clients compare this sentence, whole.
    #[error("no credentials username")]
    NoUsername,

    /// The server's name cannot be one; says why.
    #[error("the server name {0}")]
    BadServer(&'static str),
    /// The username cannot be one; says why.
    #[error("the username {0}")]
    BadUsername(&'static str),
    /// Standard input held more than a request may.
    #[error("the request is longer than {0} bytes")]
    RequestTooLong(usize),
    /// Standard input is not what the action reads; says what was expected.
    #[error("the request is not {0}")]
    BadRequest(&'static str),
    /// JSON that is not a credential. Its text is withheld, since it may hold the secret.
    #[error("not the JSON of a credential: {problem} at line {line} column {column}")]
    BadJson {
        /// What kind of mistake, without any of the text.
        problem: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 before the first character.
        column: usize,
    },
    /// Standard input or output failed.
    #[error("cannot {action}: {source}")]
    Stdio {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// A mistake in `config.toml`.
    #[error("{}:{line}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// An environment variable that cannot be used; says why.
    #[error("the environment variable {name} {problem}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Neither HOME nor the password database names a home directory.
    #[error("no home directory: HOME is not set and the password database names none")]
    NoHome,

    /// The system refused something that was done to a file.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory that is not safe to use.
    #[error("{} {problem}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// The command, without the path, that mends it.
        cure: &'static str,
    },
    /// A file that does not hold what it should; says what is wrong, never what it holds.
    #[error("{} {problem}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A link to what is not there, such as a volume that is not mounted. What lies behind it is not missing.
    #[error("{} is a link to what is not there", .0.display())]
    LeadsNowhere(PathBuf),
    /// A list of recipients that cannot be read as one; says why.
    #[error("{} {problem}", path.display())]
    BadList {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The list of recipients is not there, though something is held for those who were on it.
    #[error("{} is gone, which says who can read what is held", .0.display())]
    NoList(PathBuf),
    /// A client's file that cannot be read as one; says why, never what it holds.
    #[error("{} {problem}", path.display())]
    BadAuthFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process did not let go of a lock.
    #[error("another process holds the lock {}", .0.display())]
    Busy(PathBuf),

    /// The store took a login, and does not give it back.
    #[error("the store does not give back what it was given for {0}")]
    NotKept(String),
    /// There is no key for the age store, though there is something to open or to lose.
    #[error("no key for the store in {}: {reason}", directory.display())]
    NoKey {
        /// The store's directory.
        directory: PathBuf,
        /// Where was looked, or why none was made.
        reason: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// The key is there, but does not open the file.
    #[error("none of the keys opens {}", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// Whether a plugin holds some of them, which may not have been able to.
        has_plugin: bool,
    },
    /// The key is there, but could not open what would be written.
    #[error("the key is not among the recipients in {}", .0.display())]
    NotARecipient(PathBuf),
    /// age refuses to write for these recipients together.
    #[error("the recipients cannot be written for together: post-quantum ones stand among themselves alone")]
    Incompatible,
    /// A file's header for so many would be longer than is ever read. Each post-quantum one takes as much as fifteen others.
    #[error("{0} recipients are more than can be written for together")]
    TooManyRecipients(usize),
    /// The key file is there, and is of no use; says why, never what it holds.
    #[error("{} {problem}", path.display())]
    UnusableKey {
        /// The identity file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key file has a line that is neither an identity nor a comment. It may be secret.
    #[error("{}:{line}: not an age identity", path.display())]
    NotIdentities {
        /// The identity file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The key is there, and needs a person to open it; says why nobody did.
    #[error("the key in {} is locked: {reason}", path.display())]
    Locked {
        /// The identity file.
        path: PathBuf,
        /// Why it was not opened.
        reason: &'static str,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key in {}", .0.display())]
    WrongPassphrase(PathBuf),
    /// A plugin of age is not there.
    #[error("age-plugin-{0} is not installed")]
    NoPlugin(String),
    /// A plugin of age lies in a directory of the PATH that is relative.
    #[error("age-plugin-{0} lies in the current directory, or in another that the PATH does not name in full")]
    ShadowedPlugin(String),
    /// A plugin of age failed; its own words.
    #[error("an age plugin failed: {0}")]
    Plugin(String),
    /// The kernel's keyring cannot be used; says why.
    #[error("the kernel's keyring cannot be used: {0}")]
    NoKernelKeyring(String),

    /// There is no OS keyring, or it did not answer; says what it said.
    #[error("the OS keyring cannot be reached: {0}")]
    NoKeyring(String),
    /// The OS keyring is there and locked, and was not unlocked in time.
    #[error("the OS keyring is locked")]
    KeyringLocked,
    /// An item of the OS keyring that was there a moment ago. Not shown where looking again helps.
    #[error("an item of the OS keyring has gone meanwhile")]
    ItemGone,
    /// An item of the OS keyring that is not what this program puts there; says which.
    #[error("an item of the OS keyring is broken: {0}")]
    BadItem(String),
    /// The OS keyring failed otherwise; says what it said.
    #[error("the OS keyring failed: {0}")]
    Keyring(String),

    /// Another credential helper is not there.
    #[error("docker-credential-{0} is not installed")]
    NoHelper(String),
    /// Another credential helper failed; its own words.
    #[error("docker-credential-{name} failed: {message}")]
    Helper {
        /// The helper, without `docker-credential-`.
        name: String,
        /// One line, never a secret.
        message: String,
    },
    /// The server is configured to have no credential, so none can be stored.
    #[error("{registry} is anonymous by rule {rule} of {}", config.display())]
    Anonymous {
        /// The registry.
        registry: String,
        /// Which `[[registry]]`, counted from 1.
        rule: usize,
        /// The configuration file.
        config: PathBuf,
    },

    /// No ECR token could be minted.
    #[error("cannot mint a token for {host}: {problem}")]
    Mint {
        /// The registry's host.
        host: String,
        /// The cause, in one line.
        problem: String,
        /// What to do.
        cure: String,
    },

    /// Something was waited for until the process's time was up.
    #[error("gave up after {seconds} s of waiting for {what}")]
    TimedOut {
        /// The limit.
        seconds: u64,
        /// What did not come.
        what: &'static str,
    },
    /// A command of a person was declined, or cannot go on as it was called; says why.
    #[error("{message}")]
    Command {
        /// What happened.
        message: String,
        /// What to do.
        cure: String,
    },
    /// A fault of this program.
    #[error("internal error at {0}")]
    Internal(String),
}

impl Error {
    /// An [`Error::File`], for `map_err`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// That standard output could not be written, for `map_err`.
    pub fn output(source: io::Error) -> Self {
        Self::Stdio { action: "write standard output", source }
    }

    /// What to do about it, in one line, where there is a cure.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound | Self::Stdio { .. } => return None,
            Self::NoServer => "name a registry, for example ghcr.io".into(),
            Self::NoUsername => "give the username to log in with, for example docker login -u NAME".into(),
            Self::BadServer(_) => "name the registry as host[:port], for example registry.example.com:5000".into(),
            Self::BadUsername(_) => "use the name that the registry knows you by".into(),
            Self::RequestTooLong(_) => "send less: no registry takes a name or a secret that long".into(),
            Self::BadRequest(_) | Self::BadJson { .. } => {
                "send {\"ServerURL\": ..., \"Username\": ..., \"Secret\": ...} to store, and the server's name alone to get and erase".into()
            }
            Self::Config { .. } => "mend that line; docs/configuration.md lists every key".into(),
            Self::Environment { .. } => "set it to an absolute path, or unset it".into(),
            Self::NoHome => "set HOME; for logins alone, COFFER_DIR and COFFER_CONFIG will do".into(),
            Self::File { source, .. } => file_hint(source)?,
            Self::Unsafe { path, cure, .. } => format!("{cure} {}", path.display()),
            Self::BadFile { path, .. } => {
                format!("restore {} from a backup, or move it away; a login that it held is made again with docker login", path.display())
            }
            Self::LeadsNowhere(_) => "mount, or make, what it leads to".into(),
            Self::BadAuthFile { .. } => "mend it there; nothing was changed".into(),
            Self::Busy(path) => format!("try again; if it persists, find the process: fuser {}", path.display()),
            Self::NotKept(_) => "no file was changed; see docker-credential-coffer get with COFFER_LOG=debug".into(),
            Self::NoKey { cure, .. } => (*cure).into(),
            Self::WrongKey { has_plugin: true, .. } => {
                "see that the plugin runs and its token is plugged in; or use the key it was encrypted to (COFFER_IDENTITY_FILE names another)".into()
            }
            Self::WrongKey { .. } => {
                "use the key it was encrypted to (COFFER_IDENTITY_FILE names another), or erase it and log in again".into()
            }
            Self::BadList { .. } => "mend it: whom it does not name cannot read what is written from now on".into(),
            Self::NoList(_) => {
                "restore it; or have docker-credential-coffer setup make one with your key alone, and name the others anew".into()
            }
            Self::NotARecipient(path) => {
                format!("bring back the key that the store was made with, or add this one's recipient to {}", path.display())
            }
            Self::TooManyRecipients(_) => "remove some from .age-recipients, beside the credentials".into(),
            Self::Incompatible => "see docker-credential-coffer recipients list, and remove one".into(),
            Self::UnusableKey { .. } | Self::NotIdentities { .. } => "bring back the key that was there, or name it with COFFER_IDENTITY_FILE".into(),
            Self::Locked { .. } => "unlock it in a terminal: docker-credential-coffer unlock".into(),
            Self::WrongPassphrase(_) => {
                "try again; without the passphrase, the recovery key opens the store (COFFER_IDENTITY_FILE)".into()
            }
            Self::NoPlugin(name) => format!("install age-plugin-{name} where the PATH finds it"),
            Self::ShadowedPlugin(_) => "take relative and empty directories out of the PATH".into(),
            Self::Plugin(_) => "see that the token is plugged in, and touch it when it blinks".into(),
            Self::NoKernelKeyring(_) => "call unlock outside of the container, or keep the key in the OS keyring".into(),
            Self::NoKeyring(_) => {
                "start a Secret Service such as gnome-keyring in this session, or do without: store = \"age\", and key = \"file\" below [age]".into()
            }
            Self::KeyringLocked => "unlock the keyring (log in to the desktop, or gnome-keyring-daemon --unlock) and try again".into(),
            Self::ItemGone => "try again; another program changes the keyring".into(),
            Self::BadItem(_) => "mend or remove it with the keyring's own program, such as seahorse".into(),
            Self::Keyring(_) => "see whether secret-tool or seahorse can open the keyring".into(),
            Self::NoHelper(name) => format!("install docker-credential-{name}, or remove the rule that names it"),
            Self::Helper { name, .. } => format!("try it alone: echo SERVER | docker-credential-{name} get"),
            Self::Anonymous { .. } => "remove that rule to log in".into(),
            Self::TimedOut { .. } => "find what keeps it from answering, and try again".into(),
            Self::Mint { cure, .. } | Self::Command { cure, .. } => cure.clone(),
            Self::Internal(_) => "please report this, with the line above".into(),
        };
        Some(hint)
    }
}

/// What to do about a file that the system refuses; nothing where the message says it all.
fn file_hint(source: &io::Error) -> Option<String> {
    let hint = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space and try again; nothing was lost",
        io::ErrorKind::ReadOnlyFilesystem => "set COFFER_DIR to a directory that can be written",
        io::ErrorKind::PermissionDenied => "give yourself access, or set COFFER_DIR to a directory of your own",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "move away what is in the way"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// One line of plain text: control characters, line breaks among them, become spaces, and what cannot be seen but changes what
/// is seen shows as U+FFFD.
pub fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| match c {
        _ if c.is_control() => ' ',
        _ if deceives(c) => char::REPLACEMENT_CHARACTER,
        _ => c,
    });
    plain.collect::<String>().trim().to_owned()
}

/// Whether a character is invisible, breaks the line or turns the direction of what follows: one name could look like another.
fn deceives(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
