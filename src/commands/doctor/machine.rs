//! This program, its configuration, AWS's, and the clock.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::Check;
use crate::deadline;
use crate::ecr;
use crate::error::{Result, one_line};
use crate::files;
use crate::search_path::{self, PROGRAM};
use crate::settings::{self, Settings};

/// Where services, sudo and programs that a desktop starts may look, whatever the PATH of a session.
#[cfg(target_os = "linux")]
const SHORT_PATH: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// How far in the future a file may be before the clock, not the file, is doubted.
const TOLERANCE: Duration = Duration::from_secs(300);

/// How long another build of this program has to say its version, and the most that is read of it.
const PATIENCE: Duration = Duration::from_millis(500);
const MAX_VERSION: u64 = 1000;

pub fn checks(settings: &Result<Settings>) -> Vec<Check> {
    let configuration = match settings {
        Ok(settings) if settings.config.exists() => {
            Check::good("configuration", format!("{} is valid", settings.config.display()))
        }
        Ok(settings) => {
            Check::good("configuration", format!("there is no {}, so defaults hold", settings.config.display()))
        }
        Err(error) => Check::failed("configuration", error),
    };
    let clock = settings.as_ref().ok().map(clock);
    [configuration, program()].into_iter().chain(services()).chain(windows()).chain(clock).collect()
}

/// Whether the program that a session finds is found without its PATH, too.
#[cfg(target_os = "linux")]
fn services() -> Option<Check> {
    let (name, found) = ("services", search_path::find(PROGRAM)?);
    if SHORT_PATH.iter().any(|directory| search_path::is_program(&Path::new(directory).join(PROGRAM))) {
        return Some(Check::good(name, "services and programs that a desktop starts find it, too"));
    }
    let found = fs::canonicalize(&found).unwrap_or(found);
    // A copy, as root must not run what a user can replace. Not everybody has a service that pulls.
    let cure = format!("if one of these should: sudo install -t /usr/local/bin {}", found.display());
    let detail = "services, sudo and programs that a desktop starts may look only in /usr/local/bin and /usr/bin";
    Some(Check { name, ok: true, detail: detail.into(), cure: Some(cure) })
}

/// Elsewhere they look in places where only the system may put programs.
#[cfg(not(target_os = "linux"))]
fn services() -> Option<Check> {
    None
}

/// Under WSL the PATH goes on into Windows, where Docker Desktop has programs of that name.
fn windows() -> Option<Check> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let docker = fs::canonicalize(search_path::find("docker")?).ok()?;
    is_of_windows(&docker, &kernel).then(|| {
        Check::bad(
            "wsl",
            format!("{} is of Windows, and knows nothing of this distribution's files and helpers", docker.display()),
            "have Docker Desktop integrate this distribution (Settings, Resources, WSL integration), or install the docker CLI in it",
        )
    })
}

/// Whether a program is an `.exe`, or lies on a drive of Windows, which WSL mounts as `/mnt/c`.
fn is_of_windows(program: &Path, kernel: &str) -> bool {
    let is_drive = |name: &OsStr| kernel.to_ascii_lowercase().contains("microsoft") && name.len() == 1;
    program.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"))
        || program.strip_prefix("/mnt").is_ok_and(|below| below.iter().next().is_some_and(is_drive))
}

/// The program that clients find, which may be another build than this one.
fn program() -> Check {
    let name = "program";
    let Some(found) = search_path::find(PROGRAM) else {
        let cure =
            format!("{PROGRAM} setup puts it into ~/.local/bin; add that to the PATH of your session and of services");
        return Check::bad(name, format!("{PROGRAM} is not on the PATH, so no client finds it"), cure);
    };
    let this = env::current_exe().unwrap_or_default();
    if fs::canonicalize(&this).ok() == fs::canonicalize(&found).ok() {
        return Check::good(name, format!("{} is on the PATH", found.display()));
    }
    let version = version(&found).unwrap_or_default();
    let own = format!("{PROGRAM} ({PROGRAM}) {}", env!("CARGO_PKG_VERSION"));
    if version == own {
        return Check::good(name, format!("{} is on the PATH, another copy of this one", found.display()));
    }
    let said =
        if version.is_empty() { "does not run, or does not answer".into() } else { format!("says it is {version}") };
    let cure = format!("remove it, or replace it with this one: install {} {}", this.display(), found.display());
    Check::bad(name, format!("clients find {}, which {said}", found.display()), cure)
}

/// What another build says of itself, if it does so in time.
fn version(program: &Path) -> Option<String> {
    let command = &mut Command::new(program);
    let mut process =
        command.arg("version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut output = process.stdout.take()?.take(MAX_VERSION);
    // What it has started may keep its output open after it.
    let said = deadline::within(PATIENCE, move || {
        let mut said = Vec::new();
        output.read_to_end(&mut said).map(|_| said).ok()
    });
    // It may be gone already.
    let _ = process.kill();
    let _ = process.wait();
    said.flatten().map(|said| one_line(String::from_utf8_lossy(&said).lines().next().unwrap_or_default()))
}

/// What can be told of the clock without asking anybody: nothing was written in the future.
fn clock(settings: &Settings) -> Check {
    let newest = files::entries(&settings.directory.join("store")).unwrap_or_default().into_iter();
    let newest = newest.filter_map(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok()).max();
    match newest.and_then(|newest| newest.duration_since(SystemTime::now()).ok()) {
        Some(ahead) if ahead > TOLERANCE => Check::bad(
            "clock",
            format!("the store was written {} minutes from now", ahead.as_secs() / 60),
            "set the clock (timedatectl set-ntp true); AWS refuses requests that are minutes off",
        ),
        _ => Check::good("clock", "not behind what it wrote itself; only AWS can tell more"),
    }
}

/// Who would ask AWS, for each profile that the rules name, and for the default where it matters.
pub fn aws(settings: &Settings) -> Vec<Check> {
    let now = SystemTime::now();
    let mut checks: Vec<Check> = Vec::new();
    for (number, rule) in (1..).zip(&settings.rules) {
        if rule.profile.is_none() {
            continue;
        }
        checks.push(match ecr::check(Some(rule), now) {
            Ok(profile) => Check::good("aws", format!("rule {number}: profile {profile} can be read")),
            Err(error) => {
                let check = Check::failed("aws", &error);
                Check { detail: format!("rule {number}: {}", check.detail), ..check }
            }
        });
    }
    // Without rules, ECR may be none of this user's business: then files that are not there are no fault.
    match ecr::check(None, now) {
        Err(_) if settings::home().is_err() => {
            checks.push(Check::good("aws", "there is no home directory, so keys have to stand in the environment"));
        }
        Ok(profile) => {
            checks.push(Check::good("aws", format!("profile {profile}, where no rule names another, can be read")))
        }
        Err(error) => checks.push(Check::failed("aws", &error)),
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_programs_are_told_by_their_name_or_their_drive() {
        let (wsl, other) = ("5.15.167.4-microsoft-standard-WSL2\n", "6.1.0-28-amd64\n");
        for (path, kernel, expected) in [
            ("/mnt/c/Program Files/Docker/Docker/resources/bin/docker", wsl, true),
            ("/mnt/d/docker", wsl, true),
            ("/mnt/d/docker", other, false),
            ("/usr/local/bin/docker.exe", other, true),
            ("/mnt/wsl/docker-desktop/cli-tools/usr/bin/docker", wsl, false),
            ("/mnt/tools/docker", wsl, false),
            ("/usr/bin/docker", wsl, false),
        ] {
            assert_eq!(is_of_windows(Path::new(path), kernel), expected, "{path}, {kernel}");
        }
    }
}
