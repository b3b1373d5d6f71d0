//! The broker of the soak, in a process of its own, so that its memory and its descriptors are nobody else's. It answers each line
//! of its input with the number of tasks that it has, and ends with its input.

use std::io::BufRead;

use parlor::broker::cli;
use parlor::prelude::*;

/// A room that counts: whoever knows the count knows which message comes next.
#[derive(Default, Serialize, Deserialize)]
struct Soak {
    count: u64,
}

#[derive(Serialize, Message)]
struct Counted {
    count: u64,
    pad: String,
}

#[derive(Deserialize)]
struct Say {
    pad: String,
}

#[room(kind = "soak", max_players = 1000, match_by = ["room"], empty_ttl = "1s", resume = "20s")]
impl Soak {
    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, _from: PlayerId, say: Say) {
        self.count += 1;
        ctx.broadcast(&Counted { count: self.count, pad: say.pad });
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> u64 {
        self.count
    }
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    cli::log();
    let broker = parlor::App::new().room::<Soak>().start(&parlor_tests::config()).await?;
    println!("listening on {}", broker.addr());
    let (lines, mut asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    while asked.recv().await.is_some() {
        println!("{}", broker.tasks());
    }
    broker.shutdown().await;
    Ok(())
}
