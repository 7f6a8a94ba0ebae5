//! The two programs where clients find them: on the PATH, and as a plugin of the docker CLI.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::super::tell;
use super::Step;
use crate::auth_files::Location;
use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::hand_over::{self, COMMANDS, HELPER};
use crate::search_path;
use crate::settings;

/// Where a user's own programs lie, below the home directory.
const BIN_DIRECTORIES: [&str; 3] = [".local/bin", "bin", ".cargo/bin"];

/// The longest program that is copied.
const MAX_PROGRAM: u64 = 1 << 30;

/// Copies of the two programs where the PATH finds them, unless they are there, and where the one is that clients call.
pub fn copy() -> Result<(Option<Step<'static>>, PathBuf)> {
    let home = settings::home()?;
    let own: Vec<PathBuf> = BIN_DIRECTORIES.iter().map(|directory| home.join(directory)).collect();
    let on_path = search_path::directories();
    let helper = match search_path::find(HELPER) {
        // Somebody else's to update: a package's.
        Some(found) if !own.iter().any(|directory| found.starts_with(directory)) => return Ok((None, found)),
        Some(found) => found,
        None => own.iter().find(|directory| on_path.contains(directory)).unwrap_or(&own[0]).join(HELPER),
    };
    let mut copies = Vec::new();
    // What the other needs comes first.
    for name in [COMMANDS, HELPER] {
        let this = hand_over::beside(name)?;
        let target = helper.with_file_name(name);
        let bytes = files::read(&this, MAX_PROGRAM, Privacy::Any)?
            .ok_or_else(|| Error::Program { path: this, problem: "is not there".into() })?;
        if files::read(&target, MAX_PROGRAM, Privacy::Any)?.is_none_or(|old| old != bytes) {
            copies.push((target, bytes));
        }
    }
    if copies.is_empty() {
        // Whoever put them there may have been killed before they were on the disk.
        files::sync_directory(files::parent(&helper))?;
        return Ok((None, helper));
    }
    let targets: Vec<String> = copies.iter().map(|(target, _)| target.display().to_string()).collect();
    let step = Step {
        what: targets.iter().map(|target| format!("copy a program to {target}")).collect(),
        undo: format!("rm {}", targets.join(" ")),
        act: Box::new(move |lock| {
            for (target, bytes) in copies {
                files::create_directory(files::parent(&target))?;
                lock.sweep(files::parent(&target))?;
                files::replace(&target, &bytes, 0o755)?;
            }
            Ok(())
        }),
    };
    Ok((Some(step), helper))
}

/// Where packages put plugins of the docker CLI.
const SYSTEM_PLUGINS: [&str; 2] = ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins"];

/// The link by which the docker CLI finds its plugin, beside what clients call, unless it is there.
pub fn plugin(helper: &Path) -> Result<Option<Step<'static>>> {
    if SYSTEM_PLUGINS.iter().any(|directory| Path::new(directory).join(COMMANDS).exists()) {
        return Ok(None);
    }
    let program = helper.with_file_name(COMMANDS);
    let docker = Location::docker()?.path;
    let link = files::parent(&docker).join("cli-plugins").join(COMMANDS);
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
    if search_path::find(HELPER).is_none() {
        let directory = settings::home()?.join(BIN_DIRECTORIES[0]);
        tell(format_args!("{} is not on the PATH yet; add to your shell's profile:", directory.display()));
        tell(format_args!("  export PATH=\"{}:$PATH\"", directory.display()));
    }
    Ok(())
}
