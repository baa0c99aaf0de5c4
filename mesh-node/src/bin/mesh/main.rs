//! The program `mesh`: runs a node, and asks a running one.
//!
//! | to know | read |
//! |---|---|
//! | what can be typed | `args` |
//! | how a node is run and shown | `up`, `screen` |
//! | what each command asks and prints | `about`, `channel`, `writers`, `publish`, `feed`, `get` |
//! | what is to be here, and how much | `quota` |
//! | the story on one machine | `demo` |
//! | how things are said | `say`, `pages`, [`mesh_node::words`] |

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mesh_node::control::Request;
use mesh_node::{Error, home, words};
use tracing_subscriber::EnvFilter;

mod about;
mod args;
mod channel;
mod demo;
mod feed;
mod get;
mod interrupt;
mod pages;
mod publish;
mod quota;
mod say;
mod screen;
mod up;
mod writers;

use args::{Arguments, Command};
use say::Format;

fn main() -> ExitCode {
    let Arguments { common, command } = Arguments::parse();
    log(common.verbose);
    let context = Context {
        format: if common.json { Format::Json } else { Format::Words },
        home: common.home,
        verbose: common.verbose,
    };
    match run(&context, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::aside(format_args!("mesh: {error}"));
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// What every command is told.
struct Context {
    format: Format,
    home: Option<PathBuf>,
    verbose: u8,
}

impl Context {
    /// The home of the node that is meant.
    fn home(&self) -> Result<PathBuf, Error> {
        let home = match &self.home {
            Some(home) => home.clone(),
            None => home::Home::default_dir()?,
        };
        std::path::absolute(&home).map_err(say::failed)
    }
}

fn run(context: &Context, command: Command) -> Result<(), Error> {
    match &command {
        // These clean up behind them.
        Command::Up(_) | Command::Demo { .. } => {}
        Command::Id
        | Command::Status { .. }
        | Command::Channel(_)
        | Command::Publish { .. }
        | Command::Retract { .. }
        | Command::Follow { .. }
        | Command::Unfollow { .. }
        | Command::Feed { .. }
        | Command::Pin { .. }
        | Command::Unpin { .. }
        | Command::Quota { .. }
        | Command::Get(_)
        | Command::Doctor { .. }
        | Command::Completions { .. }
        | Command::Man { .. } => {
            interrupt::on_signal(|| std::process::exit(interrupt::INTERRUPTED))?;
        }
    }
    match command {
        Command::Demo { path } => demo::demo(context.format, path),
        Command::Up(options) => up::up(context, options),
        Command::Id => about::id(context),
        Command::Status { watch: false } => about::status(context),
        Command::Status { watch: true } => about::watch(context),
        Command::Channel(args::Channel::New { name, private, open, hidden }) => {
            channel::new(context, Request::NewChannel { name, private, open, hidden })
        }
        Command::Channel(args::Channel::Hide { channel }) => {
            channel::hide(context, Request::Hide { channel, hidden: true })
        }
        Command::Channel(args::Channel::Unhide { channel }) => {
            channel::hide(context, Request::Hide { channel, hidden: false })
        }
        Command::Channel(args::Channel::List) => channel::list(context),
        Command::Channel(args::Channel::Set { channel, files, largest, keep }) => {
            quota::set(context, channel, quota::Change { files, largest, keep })
        }
        Command::Channel(args::Channel::Writers(command)) => writers::command(context, command),
        Command::Publish { channel, paths, text, expires, name, origin_dir, origin_url } => {
            publish::sign_as(context, &channel, name)?;
            let origin = (origin_dir, origin_url);
            publish::publish(context, channel, (paths, text, expires), origin)
        }
        Command::Retract { channel, items } => publish::retract(context, channel, items),
        Command::Follow { link, hidden } => channel::follow(context, link, hidden),
        Command::Unfollow { channel } => channel::unfollow(context, channel),
        Command::Feed { channel, follow } => {
            feed::feed(context, &Request::Feed { channel, follow, chat: true })
        }
        Command::Pin { channel, items } => {
            quota::pin(context, &Request::Pin { channel, items, pinned: true })
        }
        Command::Unpin { channel, items } => {
            quota::pin(context, &Request::Pin { channel, items, pinned: false })
        }
        Command::Quota { size } => quota::quota(context, size),
        Command::Get(wish) => get::get(context, wish),
        Command::Doctor { who } => about::doctor(context, who),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { dir } => pages::man(&dir),
    }
}

/// Silent while all is well, unless asked to speak.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) if verbose == 0 => filter,
        Ok(_) | Err(_) => EnvFilter::new(level),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
