//! The command line: what can be typed and what `--help` says of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mesh_node::control::Limit;
use mesh_node::{ChannelLink, Internet, OriginUrl, WriterLink};
use mesh_wire::Address;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node running, 4 not found, 5 still pending when \
the time ran out, 6 permission or lock, 7 verification failed, 8 partly done, 130 interrupted.

Begin with `mesh demo`, then `mesh up` on every device.";

/// Devices near each other share what they read, every byte verified.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the node keeps its state [default: `mesh` in your data directory]
    #[arg(long, global = true, env = "MESH_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON: one object, or one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more to stderr; twice for still more (or set RUST_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the whole story on this machine: publish, read, lose the publisher, read on
    ///
    /// Starts five nodes of its own with real sockets on the loopback interface, publishes PATH
    /// from one of them and checks every byte that arrives at the last. Nothing of it stays. Needs
    /// four times the size of PATH in the temporary directory ($TMPDIR).
    Demo {
        /// A file or directory to play with [default: a small sample that comes along]
        path: Option<PathBuf>,
    },
    /// Run a node: the other commands talk to it
    Up(Up),
    /// Say who this node's user is
    Id,
    /// Say who is near, what is here, and what it cost
    Status {
        /// Say it again after every change
        #[arg(long)]
        watch: bool,
    },
    /// Make channels and list them
    #[command(subcommand)]
    Channel(Channel),
    /// Sign files or a text and offer them to whoever follows
    ///
    /// A directory becomes one item for each file in it. Exits with 8 if some were left out. On a
    /// board, whoever follows it publishes.
    Publish {
        /// The channel: its name, id or link
        channel: String,
        /// Files and directories
        #[arg(required_unless_present_any = ["text", "origin_dir"])]
        paths: Vec<PathBuf>,
        /// A text of at most 16 KiB
        #[arg(long)]
        text: Option<String>,
        /// On a board: go by this name, from now on. Others may use the same
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        /// Write the channel as plain files into this directory, too, or bring them up to date:
        /// from any web server that gives them, followers get what nobody near them has
        #[arg(long, value_name = "DIR")]
        origin_dir: Option<PathBuf>,
        /// Where on the web that directory is: the channel and its link say so from now on
        #[arg(long, value_name = "URL", requires = "origin_dir")]
        origin_url: Option<OriginUrl>,
        /// Have everybody drop the content after so long: 90m, 12h, 7d
        #[arg(long, value_name = "TIME")]
        expires: Option<Wait>,
    },
    /// Have everybody drop the content of items of yours, or of any in a channel of yours
    ///
    /// Whoever hears of it drops the content, never shows or gives it again, and keeps only that
    /// there was something. Whoever has copied it before has a copy.
    Retract {
        /// The channel: its name, id or link
        channel: String,
        /// Each a number of `mesh feed` or the hash of its content
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
    },
    /// Subscribe: from now on the channel syncs by itself
    Follow {
        /// The channel's link: mesh:…
        link: ChannelLink,
        /// Keep it from neighbours who ask: only who searches for it finds this node
        #[arg(long)]
        hidden: bool,
    },
    /// Unsubscribe and forget what came by it
    Unfollow {
        /// The channel: its name, id or link
        channel: String,
    },
    /// List the items of a channel
    ///
    /// Where several people write, what they write stands behind what they had read, and by the
    /// time for the rest.
    Feed {
        /// The channel: its name, id or link
        channel: String,
        /// Go on with those to come
        #[arg(long)]
        follow: bool,
    },
    /// Keep items whatever the quota says, and fetch them first if they are not here
    Pin {
        /// The channel: its name, id or link
        channel: String,
        /// Each a number of `mesh feed` or the hash of its content
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
    },
    /// Let pinned items go when their time has come
    Unpin {
        /// The channel: its name, id or link
        channel: String,
        /// Each a number of `mesh feed` or the hash of its content
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
    },
    /// Say how much of the disk large files take in every channel, and how much they may
    ///
    /// When there are more, the oldest are given up, first in the channel that has most: never
    /// what you published or pinned, nor what somebody waits for. Texts and small files always
    /// stay.
    Quota {
        /// Let them take so much from now on: 20G, 500M, or `default`, which is half of what was
        /// free on the disk when the node started
        size: Option<Size>,
    },
    /// Wait for items of a channel and write them to files, every byte verified
    Get(Get),
    /// Say what was tried, what was found and what to do
    ///
    /// Of the whole node, or of one channel: who shares it, what is missing here, what was done to
    /// find somebody who has it and how that ended; or of somebody near: over what, for how long,
    /// how much, and why a link to it ended.
    Doctor {
        /// A channel (its name, id or link) or somebody near (the first digits in `mesh status`)
        who: Option<String>,
    },
    /// Print a completion script
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Write man pages
    Man {
        /// The directory they go to, such as ~/.local/share/man/man1
        dir: PathBuf,
    },
}

/// `mesh channel`.
#[derive(Debug, Subcommand)]
pub(crate) enum Channel {
    /// Make a channel that this node signs; prints the link that followers need
    New {
        /// Its name, for people
        name: String,
        /// Let only those read it whom you let in to write (`mesh channel member add`)
        #[arg(long, conflicts_with = "open")]
        private: bool,
        /// Let everybody write in it who knows its link: a board
        #[arg(long)]
        open: bool,
        /// Keep it from neighbours who ask: only who searches for it finds this node
        #[arg(long)]
        hidden: bool,
    },
    /// List own channels and followed ones
    List,
    /// Say which large files of a channel come by themselves, and how much is kept
    ///
    /// What `mesh get` waits for and what is pinned comes whatever this says. Files of up to 16
    /// KiB always come, with their items.
    Set {
        /// The channel: its name, id or link
        channel: String,
        /// Which come by themselves: all, or only those that somebody wants
        #[arg(long, value_name = "WHICH")]
        files: Option<Coming>,
        /// Only those up to this size: 10M, or `default`, which is no limit
        #[arg(long, value_name = "SIZE")]
        largest: Option<Size>,
        /// Keep at most so much, the newest: 2G, or `default`, which is what `mesh quota` allows
        #[arg(long, value_name = "SIZE")]
        keep: Option<Size>,
    },
    /// Keep a channel from neighbours who ask whether it is here
    ///
    /// They learn of it only if they search for it, or are found when this node does.
    Hide {
        /// The channel: its name, id or link
        channel: String,
    },
    /// Let neighbours who know a channel find out that it is here
    Unhide {
        /// The channel: its name, id or link
        channel: String,
    },
    #[command(flatten)]
    Writers(Writers),
}

/// What of `mesh channel` concerns those who write in one.
#[derive(Debug, Subcommand)]
pub(crate) enum Writers {
    /// Say who may write in a channel, and how far everybody is
    Status {
        /// The channel: its name, id or link
        channel: String,
    },
    /// Ask to write in a channel that this node follows; prints what its owner needs
    Request {
        /// The channel: its name, id or link
        channel: String,
        /// How readers know you
        name: String,
        /// Ask to become its owner, in place of whoever is: for `mesh channel rotate`
        #[arg(long)]
        owner: bool,
    },
    /// Let somebody write in a channel of yours
    Delegate {
        /// The channel: its name, id or link
        channel: String,
        /// What `mesh channel request` printed there: mesh:…
        writer: WriterLink,
        /// End it after so many days
        #[arg(long, value_name = "N")]
        days: Option<u16>,
    },
    /// Let members into a private channel, and out: they read and write it
    #[command(subcommand)]
    Member(Member),
    /// End somebody's right to write: what is here by now stays, all else is void
    Revoke {
        /// The channel: its name, id or link
        channel: String,
        /// The writer's name, or the first digits of its key
        who: String,
    },
    /// Replace the key of a channel of yours, or hand the channel to somebody else
    ///
    /// Do this when somebody else may have the key, and now and then. The old one says nothing any
    /// more; followers notice nothing.
    Rotate {
        /// The channel: its name, id or link
        channel: String,
        /// What `mesh channel request --owner` printed where the new owner is [default: a new key
        /// of this node]
        to: Option<WriterLink>,
    },
    /// State in a channel of yours how far every writer is: readers see that it is not older
    Checkpoint {
        /// The channel: its name, id or link
        channel: String,
        /// Promise to do so again at least every so many hours, as long as this node runs; readers
        /// are told when that did not come. 0 promises no more [default: as before]
        #[arg(long, value_name = "HOURS")]
        every: Option<u16>,
    },
}

/// `mesh channel member`.
#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Let somebody in: from now on they read and write the channel
    Add {
        /// The channel: its name, id or link
        channel: String,
        /// What `mesh channel request` printed there: mesh:…
        member: WriterLink,
    },
    /// Let somebody go: they read nothing that is written from now on
    Remove {
        /// The channel: its name, id or link
        channel: String,
        /// The member's name, or the first digits of its key
        who: String,
    },
}

/// `mesh up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Print plain lines even on a terminal
    #[arg(long)]
    pub(crate) headless: bool,
    /// Keep a link to this neighbour, beside those found: tcp://HOST:PORT
    #[arg(long = "peer", value_name = "ADDRESS")]
    pub(crate) peers: Vec<Address>,
    /// Take connections here: IP:PORT [default: a free port on every interface]
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// Announce the node on this interface only; may be given several times
    #[arg(long = "interface", value_name = "NAME")]
    pub(crate) interfaces: Vec<String>,
    /// Neither announce the node nor listen to others who do: only --peer finds anybody
    #[arg(long, conflicts_with = "interfaces")]
    pub(crate) no_beacons: bool,
    /// Carry nothing for others, to save power: those between whom only this node stands do not
    /// reach each other
    #[arg(long)]
    pub(crate) no_relay: bool,
    /// Whose way to the Internet it is: `shared` with the network it is in, its `own` as that of a
    /// telephone, `metered` if it costs by the byte, or `none`; over one, channels are had on the
    /// web that nobody near has, and large files over a metered one only if somebody wants them
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    pub(crate) internet: Way,
    /// Stop when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
}

/// A way to the Internet.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum Way {
    /// That of the network
    #[default]
    Shared,
    /// One of this device's own
    Own,
    /// One that costs by the byte
    Metered,
    /// There is none, or it is not to be used
    None,
}

impl From<Way> for Internet {
    fn from(way: Way) -> Self {
        match way {
            Way::Shared => Self::Shared,
            Way::Own => Self::Own,
            Way::Metered => Self::Metered,
            Way::None => Self::None,
        }
    }
}

/// `mesh get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The channel: its name, id or link
    pub(crate) channel: String,
    /// Each a number of `mesh feed` or the hash of its content; `all` is every file
    #[arg(required = true, value_name = "ITEM")]
    pub(crate) items: Vec<String>,
    /// A file for one item, a directory for several [default: here, under their own names]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Replace files that are there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Give up after so long: 10s, 5m, 1h
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Wait>,
}

/// Which files come by themselves.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Coming {
    /// All that the limits allow
    All,
    /// Those that somebody waits for or has pinned
    Wanted,
}

/// A number of bytes, as people write it: powers of ten, as in shops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size(pub(crate) Limit);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self(Limit::Default));
        }
        let wanted = || "write it like 500k, 10M or 2.5G, or `default`".to_owned();
        let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let factor = match unit.trim_end_matches(['b', 'B']) {
            "" => 1.0,
            "k" | "K" => 1e3,
            "m" | "M" => 1e6,
            "g" | "G" => 1e9,
            "t" | "T" => 1e12,
            _ => return Err(wanted()),
        };
        let number: f64 = number.trim().parse().map_err(|_| wanted())?;
        if !number.is_finite() || number < 0.0 {
            return Err(wanted());
        }
        Ok(Self(Limit::Bytes((number * factor).round() as u64)))
    }
}

/// A time to wait, in the words that people use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(pub(crate) Duration);

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = text.parse::<jiff::Span>();
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        let time = span.and_then(|span| span.to_duration(days));
        let time = time.map_err(|_| "write it like 10s, 5m, 1h30m or 7d".to_owned())?;
        Duration::try_from(time).map(Self).map_err(|_| "a time to wait is not negative".to_owned())
    }
}

/// Where to take connections; written as addresses are elsewhere, too.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("tcp://").unwrap_or(text).parse();
    address.map_err(|_| "an IP address and a port are wanted, as 0.0.0.0:7000".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str| text.parse::<Size>().ok().and_then(|size| size.0.bytes());
        for (text, bytes) in [
            ("0", 0),
            ("812", 812),
            ("500k", 500_000),
            ("10M", 10_000_000),
            ("2.5 GB", 2_500_000_000),
            ("1tb", 1_000_000_000_000),
        ] {
            assert_eq!(check(text), Some(bytes), "{text}");
        }
        assert_eq!("default".parse(), Ok(Size(Limit::Default)));
        for bad in ["", "M", "-1M", "10Q", "ten", "1e3", "inf", "10MM"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let check = |text: &str| text.parse::<Wait>().map(|wait| wait.0.as_millis()).ok();
        assert_eq!(check("10s"), Some(10_000));
        assert_eq!(check("1h 30m"), Some(5_400_000));
        assert_eq!(check("250ms"), Some(250));
        assert_eq!(check("7d"), Some(604_800_000));
        assert_eq!(check("2w"), Some(1_209_600_000));
        for bad in ["", "10", "-1s", "soon"] {
            assert_eq!(check(bad), None, "{bad}");
        }
    }
}
