//! An app in five lines: follow a channel, print what comes, on any executor.
//!
//! ```sh
//! cargo run --example feed                   # two nodes in this process
//! cargo run --example feed -- HOME mesh:ae…  # your own node and a channel of somebody near
//! ```

use mesh_node::{App, ChannelLink, Config, Error, Mesh};

/// The five lines.
async fn read(mesh: &Mesh, link: ChannelLink, count: usize) -> Result<(), Error> {
    let app = mesh.app("org.example.news")?;
    let mut feed = app.follow(link)?;
    for _ in 0..count {
        let Some(item) = feed.next().await else { break };
        println!("{:>4}  {}{}", item.seq, item.text, item.name);
    }
    Ok(())
}

/// A node that runs on a thread of its own.
fn node(home: &str) -> Result<Mesh, Error> {
    let (mesh, run) = mesh_node::start(Config::at(home))?;
    std::thread::spawn(move || futures_lite::future::block_on(run));
    Ok(mesh)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [home, link] = &arguments[..] {
        let link = link.parse()?;
        return Ok(futures_lite::future::block_on(read(&node(home)?, link, usize::MAX))?);
    }
    let homes = tempfile::tempdir()?;
    let home = |name: &str| homes.path().join(name).display().to_string();
    let (writer, reader) = (node(&home("writer"))?, node(&home("reader"))?);
    futures_lite::future::block_on(async {
        let app: App = writer.app("org.example.news")?;
        let link = app.create_channel("Village news").await?;
        for text in ["Market on Saturday", "Bring your own bags", "The bridge is open again"] {
            app.publish(&link, text.as_bytes().to_vec()).await?;
        }
        println!("{link}");
        Ok(read(&reader, link, 3).await?)
    })
}
