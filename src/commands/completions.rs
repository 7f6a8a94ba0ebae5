//! `completions` and `man`: what clap knows of the commands, for shells and for man.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::examples;
use crate::error::{Error, Result};
use crate::process::PROGRAM;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&[
    "completions bash \\\n      > ~/.local/share/bash-completion/completions/docker-credential-coffer",
    "completions zsh \\\n      > \"${fpath[1]}/_docker-credential-coffer\"",
    "completions fish \\\n      > ~/.config/fish/completions/docker-credential-coffer.fish",
]))]
pub struct Arguments {
    /// Which shell.
    shell: Shell,
}

/// Print the manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["man | man -l -"]))]
pub struct ManArguments {}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), PROGRAM, &mut text);
    write(out, &text)
}

/// One page for all: whoever types `man docker-credential-coffer` looks for a command of it.
pub(super) fn man(out: &mut dyn Write) -> Result<()> {
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = render(&mut text);
    write(out, &text)
}

fn render(text: &mut Vec<u8>) -> io::Result<()> {
    let mut whole = super::Arguments::command().version(env!("CARGO_PKG_VERSION"));
    whole.build();
    let page = Man::new(whole.clone());
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    for command in whole.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("{PROGRAM} {}", command.get_name());
        let page = Man::new(command.clone().bin_name(name));
        let mut section = Vec::new();
        page.render_synopsis_section(&mut section)?;
        page.render_description_section(&mut section)?;
        page.render_options_section(&mut section)?;
        page.render_extra_section(&mut section)?;
        let section = String::from_utf8_lossy(&section).replace(".SH ", ".SS ");
        text.extend_from_slice(format!(".SH {}\n{section}", command.get_name().to_uppercase()).as_bytes());
    }
    page.render_extra_section(text)
}

fn write(out: &mut dyn Write, text: &[u8]) -> Result<()> {
    out.write_all(text).map_err(Error::output)
}
