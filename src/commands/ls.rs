//! `ls`: everything held, for a person. Opens no secret.

use std::io::Write;

use super::{moment, printable, tell};
use crate::error::{Error, Result};
use crate::routes;
use crate::settings::Settings;

/// List everything held: server, username, since when.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

pub(super) fn run(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let listing = routes::store(settings).list()?;
    let rows: Vec<[String; 3]> = listing
        .held
        .into_iter()
        .map(|(server, held)| {
            let since = held.since.map(moment).unwrap_or_default();
            [printable(server.name()), printable(&held.username), since]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (server_width, name_width) = (width(0), width(1));
    for [server, username, since] in &rows {
        writeln!(out, "{server:server_width$}  {username:name_width$}  {since}").map_err(Error::output)?;
    }
    for broken in listing.broken {
        tell(broken);
    }
    Ok(())
}
