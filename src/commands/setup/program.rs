//! The program where clients find it: on the PATH, and as a plugin of the docker CLI.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::super::plugin::PLUGIN;
use super::super::tell;
use super::Step;
use crate::auth_files::Location;
use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::search_path::{self, PROGRAM};
use crate::settings;

/// Where a user's own programs lie, below the home directory.
const BIN_DIRECTORIES: [&str; 3] = [".local/bin", "bin", ".cargo/bin"];

/// The longest program that is copied.
const MAX_PROGRAM: u64 = 1 << 30;

/// A copy of this program where the PATH finds it, unless it is there, and where that is.
pub fn copy() -> Result<(Option<Step<'static>>, PathBuf)> {
    let home = settings::home()?;
    let own: Vec<PathBuf> = BIN_DIRECTORIES.iter().map(|directory| home.join(directory)).collect();
    let on_path = search_path::directories();
    let target = match search_path::find(PROGRAM) {
        // Somebody else's to update: a package's.
        Some(found) if !own.iter().any(|directory| found.starts_with(directory)) => return Ok((None, found)),
        Some(found) => found,
        None => own.iter().find(|directory| on_path.contains(directory)).unwrap_or(&own[0]).join(PROGRAM),
    };
    let this = env::current_exe().map_err(Error::file("find", PROGRAM))?;
    let bytes = files::read(&this, MAX_PROGRAM, Privacy::Any)?;
    let bytes = bytes.ok_or_else(|| Error::file("read", &this)(io::ErrorKind::NotFound.into()))?;
    if files::read(&target, MAX_PROGRAM, Privacy::Any)?.is_some_and(|old| old == bytes) {
        // Whoever put it there may have been killed before it was on the disk.
        files::sync_directory(files::parent(&target))?;
        return Ok((None, target));
    }
    let copy = target.clone();
    let step = Step {
        what: vec![format!("copy this program to {}", target.display())],
        undo: format!("rm {}", target.display()),
        act: Box::new(move |lock| {
            files::create_directory(files::parent(&copy))?;
            lock.sweep(files::parent(&copy))?;
            files::replace(&copy, &bytes, 0o755)
        }),
    };
    Ok((Some(step), target))
}

/// Where packages put plugins of the docker CLI.
const SYSTEM_PLUGINS: [&str; 2] = ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins"];

/// The link by which the docker CLI finds `program` as its plugin, unless it is there.
pub fn plugin(program: &Path) -> Result<Option<Step<'static>>> {
    if SYSTEM_PLUGINS.iter().any(|directory| Path::new(directory).join(PLUGIN).exists()) {
        return Ok(None);
    }
    let program = program.to_owned();
    let docker = Location::docker()?.path;
    let link = files::parent(&docker).join("cli-plugins").join(PLUGIN);
    match fs::symlink_metadata(&link) {
        Ok(metadata) if !metadata.is_symlink() => {
            tell(format_args!("{} is a file of somebody else's making, and stays", link.display()));
            return Ok(None);
        }
        Ok(_) if fs::read_link(&link).is_ok_and(|target| target == program) => {
            return files::sync_directory(files::parent(&link)).map(|()| None);
        }
        Ok(_) | Err(_) => {}
    }
    Ok(Some(Step {
        what: vec![format!("make docker coffer a command of the docker CLI: {}", link.display())],
        undo: format!("rm {}", link.display()),
        act: Box::new(move |_| {
            files::create_directory(files::parent(&link))?;
            files::remove(&link)?;
            match symlink(&program, &link) {
                // Another setup, at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(Error::file("create", &link))?,
            }
            files::sync_directory(files::parent(&link))
        }),
    }))
}

/// Docker finds the program by name alone.
pub fn warn_of_path() -> Result<()> {
    if search_path::find(PROGRAM).is_none() {
        let directory = settings::home()?.join(BIN_DIRECTORIES[0]);
        tell(format_args!("{} is not on the PATH yet; add to your shell's profile:", directory.display()));
        tell(format_args!("  export PATH=\"{}:$PATH\"", directory.display()));
    }
    Ok(())
}
