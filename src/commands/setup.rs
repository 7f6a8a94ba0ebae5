//! `setup`: from nothing to done. Shows what it would do, asks if somebody is there to answer, does it, and says
//! how to undo it. A second run finds everything done.

use std::env;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{recipients, tell};
use crate::auth_files::docker::{self, DockerConfig};
use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::key::{self, Holder, Kind, Place};
use crate::routes;
use crate::settings::{self, KeyHolder, Settings, StoreKind};
use crate::store::Shelf;
use crate::store::age_dir::{self, AgeDir};

/// This program's name on the PATH.
const PROGRAM: &str = "docker-credential-coffer";

/// What stands in Docker's `credsStore`.
const NAME: &str = "coffer";

/// Where a user's own programs lie, below the home directory.
const BIN_DIRECTORIES: [&str; 3] = [".local/bin", "bin", ".cargo/bin"];

/// The longest program that is copied.
const MAX_PROGRAM: u64 = 1 << 30;

/// Put this program on the PATH, make the store and its key, and have Docker use it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Do not ask, and take over from another helper.
    #[arg(long)]
    yes: bool,
    /// Where credentials are kept.
    #[arg(long, value_enum)]
    store: Option<StoreKind>,
    /// Who holds the key of the age store.
    #[arg(long, value_enum)]
    key: Option<KeyChoice>,
}

/// How a new key is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KeyChoice {
    /// An item of the OS keyring.
    Keyring,
    /// A plain file.
    File,
    /// A file sealed with a passphrase, which is asked for.
    Passphrase,
}

impl KeyChoice {
    /// What config.toml calls it. A sealed file is found without being named there.
    fn holder(self) -> Option<KeyHolder> {
        match self {
            Self::Keyring => Some(KeyHolder::Keyring),
            Self::File => Some(KeyHolder::File),
            Self::Passphrase => None,
        }
    }
}

/// One thing to do: what it is, how it is undone, and the doing.
struct Step<'a> {
    what: String,
    undo: String,
    act: Box<dyn FnOnce() -> Result<()> + 'a>,
}

pub(super) fn run(arguments: &Arguments, mut settings: Settings, out: &mut dyn Write) -> Result<()> {
    let configuration = configuration(arguments, &mut settings)?;
    let is_new = !age_dir::recipients_path(&settings).is_file();
    // The options are written down once they have worked.
    let steps: Vec<Step> = [program()?, store(arguments, &settings)?, configuration, docker_step(arguments.yes)?]
        .into_iter()
        .flatten()
        .collect();
    if steps.is_empty() {
        tell("everything is set up already");
        return Ok(());
    }
    tell("this will");
    for step in &steps {
        tell(format_args!("  {}", step.what));
    }
    if !arguments.yes && !confirmed()? {
        return Err(Error::Command { message: "nothing was done".into(), cure: "setup --yes does not ask".into() });
    }
    let mut undo = Vec::new();
    for step in steps {
        (step.act)()?;
        undo.push(step.undo);
    }
    tell("done; docker login now keeps credentials encrypted. To undo it:");
    for line in undo.iter().rev() {
        tell(format_args!("  {line}"));
    }
    warn_of_path(&settings::home()?);
    if is_new { recipients::offer(&settings, out) } else { Ok(()) }
}

/// Whether the person at the terminal agrees. Without a terminal there is nobody to ask.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    tell("go on? [Y/n]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    let read = read.map_err(|source| Error::Stdio { action: "read the answer", source })?;
    Ok(read > 0 && matches!(answer.trim(), "" | "y" | "Y" | "yes"))
}

/// A copy of this program where the PATH finds it, unless it is there.
fn program() -> Result<Option<Step<'static>>> {
    let this = env::current_exe().map_err(Error::file("find", PROGRAM))?;
    let home = settings::home()?;
    let own: Vec<PathBuf> = BIN_DIRECTORIES.iter().map(|directory| home.join(directory)).collect();
    let on_path = on_path();
    let found = on_path.iter().find(|directory| is_program(&directory.join(PROGRAM)));
    let directory = match found {
        // Somebody else's to update: a package's.
        Some(directory) if !own.contains(directory) => return Ok(None),
        Some(directory) => directory.clone(),
        None => own.iter().find(|directory| on_path.contains(directory)).unwrap_or(&own[0]).clone(),
    };
    let target = directory.join(PROGRAM);
    let bytes = files::read(&this, MAX_PROGRAM, Privacy::Any)?.ok_or_else(|| missing(&this))?;
    if files::read(&target, MAX_PROGRAM, Privacy::Any)?.is_some_and(|old| old == bytes) {
        return Ok(None);
    }
    Ok(Some(Step {
        what: format!("copy this program to {}", target.display()),
        undo: format!("rm {}", target.display()),
        act: Box::new(move || {
            files::create_directory(&directory)?;
            files::replace(&target, &bytes, fs::Permissions::from_mode(0o755), |_| Ok(()))
        }),
    }))
}

/// The directories of the PATH. A relative one is another wherever Docker is called.
fn on_path() -> Vec<PathBuf> {
    env::var_os("PATH").iter().flat_map(env::split_paths).filter(|directory| directory.is_absolute()).collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn missing(path: &Path) -> Error {
    Error::BadFile { path: path.into(), problem: "is gone".into() }
}

/// What the options say and `config.toml` does not say yet. A file that says otherwise is its owner's to edit.
fn configuration(arguments: &Arguments, settings: &mut Settings) -> Result<Option<Step<'static>>> {
    let store = arguments.store.filter(|store| *store != settings.store);
    let key = arguments.key.and_then(KeyChoice::holder).filter(|key| Some(*key) != settings.key);
    if store.is_none() && key.is_none() {
        return Ok(None);
    }
    let held = routes::store(settings).list()?.held.len();
    let path = settings.config.clone();
    let mut text = String::new();
    if let Some(store) = store {
        settings.store = store;
        text += &format!("store = {}\n", quoted(store));
    }
    if let Some(key) = key {
        settings.key = Some(key);
        text += &format!("\n[age]\nkey = {}\n", quoted(key));
    }
    // Neither a store nor a key can be changed under what is held: it could not be found, or not be opened.
    if held > 0 && (store.is_some() || matches!(key::own(settings)?, key::Own::None)) {
        return Err(Error::Command {
            message: format!("{held} logins are held that would not be found or opened any more"),
            cure: "log out of them first (docker-credential-coffer ls names them), and run setup again".into(),
        });
    }
    if path.symlink_metadata().is_ok() {
        return Err(Error::Command {
            message: format!("{} says otherwise than --store or --key", path.display()),
            cure: format!("write into it: {}", text.trim().replace('\n', " ")),
        });
    }
    Ok(Some(Step {
        what: format!("write {}", path.display()),
        undo: format!("rm {}", path.display()),
        act: Box::new(move || {
            path.parent().map_or(Ok(()), files::create_directory)?;
            files::write(&path, text.trim_start().as_bytes())
        }),
    }))
}

/// A value as it stands in `config.toml`.
fn quoted(value: impl clap::ValueEnum) -> String {
    format!("\"{}\"", value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()))
}

/// The store's directory and its key, unless they are there.
fn store<'a>(arguments: &Arguments, settings: &'a Settings) -> Result<Option<Step<'a>>> {
    let seals = arguments.key == Some(KeyChoice::Passphrase);
    let has_other_key = || {
        let is_made = age_dir::recipients_path(settings).is_file();
        Ok::<_, Error>(is_made && key::kind(settings)? != Kind::Sealed)
    };
    if seals && (settings.store == StoreKind::Keyring || settings.key.is_some() || has_other_key()?) {
        return Err(Error::Command {
            message: "there is a key already, or config.toml says who holds it".into(),
            cure: "docker-credential-coffer key protect --passphrase changes how it is held".into(),
        });
    }
    if settings.store == StoreKind::Keyring {
        // Needs no making, but must be there.
        return routes::store(settings).list().map(|_| None);
    }
    let store = AgeDir::new(settings, Shelf::Logins);
    if store.is_initialised() {
        return Ok(None);
    }
    let directory = settings.directory.display();
    let holder = match key::place(settings) {
        _ if seals => "with its key sealed with a passphrase".into(),
        Place::File(path, _) => format!("with the key in {}", path.display()),
        Place::Keyring => "with its key in the OS keyring, or else in a file".into(),
    };
    Ok(Some(Step {
        what: format!("make the store {directory}, {holder}"),
        undo: format!("rm -r {directory} (loses what is stored there)"),
        act: Box::new(move || {
            let path = settings.directory.join("identities");
            let sealed = seals.then(|| key::new_passphrase(settings, &path)).transpose()?.map(Holder::Sealed);
            store.initialise(sealed.as_ref())
        }),
    }))
}

/// `credsStore` in Docker's configuration, unless it says so already.
fn docker_step(yes: bool) -> Result<Option<Step<'static>>> {
    let path = docker::path()?;
    let config = DockerConfig::read(path.clone())?;
    let old = config.creds_store().map(str::to_owned);
    if old.as_deref() == Some(NAME) {
        return Ok(None);
    }
    let seen = at_stake(&config);
    if let (Some(at_stake), false) = (&seen, yes) {
        return Err(Error::Command {
            message: format!("{} says that {at_stake}; Docker would not see them any more", path.display()),
            cure: "docker logout of each and run setup again, or setup --yes and docker login to each".into(),
        });
    }
    let shown = path.display().to_string();
    Ok(Some(Step {
        what: format!("set \"credsStore\": \"{NAME}\" in {shown}"),
        undo: match old {
            Some(old) => format!("set \"credsStore\": \"{old}\" in {shown}"),
            None => format!("remove \"credsStore\" from {shown}"),
        },
        act: Box::new(move || {
            // Somebody may have logged in while the question stood.
            let mut config = DockerConfig::read(path)?;
            if at_stake(&config) != seen {
                let message = format!("{shown} has changed meanwhile; it was left as it is");
                return Err(Error::Command { message, cure: "run setup again".into() });
            }
            config.set_creds_store(NAME);
            config.write()
        }),
    }))
}

/// The logins that Docker would not see any more.
fn at_stake(config: &DockerConfig) -> Option<String> {
    match (config.creds_store(), config.plaintext().as_slice()) {
        (Some(NAME), _) | (None, []) => None,
        (Some(other), _) => Some(format!("logins are kept by docker-credential-{other}")),
        (None, servers) => Some(format!("logins are kept in plaintext: {}", servers.join(", "))),
    }
}

/// Docker finds the program by name alone.
fn warn_of_path(home: &Path) {
    let on_path = on_path().iter().any(|directory| is_program(&directory.join(PROGRAM)));
    if !on_path {
        let directory = home.join(BIN_DIRECTORIES[0]);
        tell(format_args!("{} is not on the PATH yet; add to your shell's profile:", directory.display()));
        tell(format_args!("  export PATH=\"{}:$PATH\"", directory.display()));
    }
}
