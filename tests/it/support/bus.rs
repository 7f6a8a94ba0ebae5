//! A private D-Bus session bus, with gnome-keyring on it or without.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::World;
use super::patience::wait_until;
use super::server::Server;

/// Nothing is started on demand: what is not there is absent.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=DIRECTORY</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A session bus. `DBUS_SESSION_BUS_ADDRESS` of its world names it.
pub struct Bus {
    keyring: Option<Server>,
    pub daemon: Server,
}

impl Bus {
    /// A bus on which nobody keeps secrets.
    pub fn empty(world: &mut World) -> Self {
        let config = world.path("bus.conf");
        fs::write(&config, CONFIG.replace("DIRECTORY", world.path("run").to_str().unwrap())).unwrap();
        let mut command = world.command("dbus-daemon");
        command.arg("--nofork").arg("--print-address=1").arg(format!("--config-file={}", config.display()));
        let mut daemon = Server::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut address = String::new();
        BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        world.set("DBUS_SESSION_BUS_ADDRESS", address.trim());
        Self { keyring: None, daemon }
    }

    /// A bus with gnome-keyring, its login collection unlocked.
    pub fn with_keyring(world: &mut World) -> Self {
        let mut bus = Self::empty(world);
        bus.start_keyring(world);
        bus
    }

    /// Starts gnome-keyring and unlocks its login collection, which is made if there is none.
    pub fn start_keyring(&mut self, world: &World) {
        let mut command = world.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]);
        let mut keyring = Server::start(command.stdin(Stdio::piped()).stdout(Stdio::null()));
        keyring.0.stdin.take().unwrap().write_all(b"the keyring's password").unwrap();
        self.keyring = Some(keyring);
        let locked = ["string:org.freedesktop.Secret.Collection", "string:Locked"];
        wait_until("an unlocked gnome-keyring", || {
            secrets(world, "/aliases/default", "org.freedesktop.DBus.Properties.Get", &locked).contains("boolean false")
        });
    }

    /// Ends gnome-keyring, as a logout does.
    pub fn stop_keyring(&mut self) {
        self.keyring = None;
    }

    /// Somebody on the bus who takes every call and never answers.
    pub fn black_hole(&self, world: &World, name: &str) -> Server {
        let mut command = world.command("dbus-test-tool");
        command.args(["black-hole", "--session", &format!("--name={name}")]);
        let server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        self.wait_for(world, name);
        server
    }

    /// Waits until somebody has a name on the bus.
    pub fn wait_for(&self, world: &World, name: &str) {
        let name = format!("string:{name}");
        let method = "org.freedesktop.DBus.GetNameOwner";
        let call = ["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", method, &name];
        wait_until(&name, || world.call("dbus-send", &call).run().code == Some(0));
    }

    /// Locks the login collection.
    pub fn lock(&self, world: &World) {
        let login = ["array:objpath:/org/freedesktop/secrets/collection/login"];
        secrets(world, "", "org.freedesktop.Secret.Service.Lock", &login);
    }
}

/// Calls a method of the Secret Service; what it answered, if it did.
fn secrets(world: &World, object: &str, method: &str, arguments: &[&str]) -> String {
    let object = format!("/org/freedesktop/secrets{object}");
    let call = ["--session", "--print-reply", "--dest=org.freedesktop.secrets", &object, method];
    world.call("dbus-send", &[&call[..], arguments].concat()).run().stdout
}
