//! What a worker can be told, and by which flags.

use clap::{CommandFactory, Parser};
use parlor::prelude::*;
use parlor::{App, Command, WorkerOptions};

use crate::broker::{FakeBroker, welcome};
use crate::game::Counter;
use crate::options;

#[derive(Debug, Parser)]
struct Game {
    #[command(flatten)]
    serve: parlor::ServeArgs,
}

fn parsed(flags: &str) -> Result<WorkerOptions, clap::Error> {
    let serve = Game::try_parse_from(["game"].into_iter().chain(flags.split(' ')))?.serve;
    match serve.command {
        Some(Command::Worker(args)) => Ok(args.options(serve.server_key.as_deref())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_are_options() {
    let options = parsed("worker --broker ws://b:1").unwrap();
    let plain = WorkerOptions::new("ws://b:1");
    assert_eq!(format!("{options:?}"), format!("{plain:?}"));
    assert_eq!((&*options.token, options.drain_limit), ("", plain.drain_limit));

    let flags = "worker --broker unix:/b --token t --name n --version-label v --capacity 5 --threads 2 --drain-limit 7";
    let options = parsed(flags).unwrap();
    assert_eq!((&*options.broker, &*options.token), ("unix:/b", "t"));
    assert_eq!((options.name.as_deref(), options.version.as_deref()), (Some("n"), Some("v")));
    assert_eq!((options.capacity, options.threads, options.drain_limit), (5, 2, Duration::from_secs(7)));
    let options = parsed("worker --broker unix:/b --url https://b --server-key k").unwrap();
    assert_eq!((options.url.as_deref(), options.server_key.as_deref()), (Some("https://b"), Some("k")));
    assert!(parsed("worker").unwrap_err().to_string().contains("--broker <URL>"));
}

#[test]
fn flags_have_variables() {
    let game = Game::command();
    let worker = game.find_subcommand("worker").unwrap();
    let variables = worker.get_arguments().filter_map(|flag| Some((flag.get_long()?, flag.get_env()?.to_str()?)));
    let expected = [
        ("broker", "PARLOR_BROKER"),
        ("token", "PARLOR_WORKER_TOKEN"),
        ("url", "PARLOR_URL"),
        ("version-label", "PARLOR_VERSION"),
    ];
    assert_eq!(variables.collect::<Vec<_>>(), expected);
    let token = worker.get_arguments().find(|flag| flag.get_long() == Some("token")).unwrap();
    assert!(token.is_hide_env_values_set());
    Game::command().debug_assert();
}

#[test]
fn a_game_still_has_what_every_broker_has() {
    let game = Game::try_parse_from(["game", "--port", "0", "config", "--print"]).unwrap();
    assert!(matches!(game.serve.command, Some(Command::Broker(parlor::broker::cli::Command::Config { print: true }))));
    assert!(Game::try_parse_from(["game"]).unwrap().serve.command.is_none());
}

#[tokio::test]
async fn a_version_is_said_or_derived() {
    let version = async |app: App, said: Option<&str>| {
        let broker = FakeBroker::tcp().await;
        let options = WorkerOptions { version: said.map(str::to_owned), ..options(&broker) };
        let _worker = app.room::<Counter>().start_worker(&options).unwrap();
        broker.accept().await.welcome(welcome()).await.version
    };
    assert_eq!(version(App::new().version("1.2"), None).await, "1.2");
    assert_eq!(version(App::new().version("1.2"), Some("flag")).await, "flag");
    let derived = version(App::new(), None).await;
    assert!(derived.len() == 16 && derived.chars().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(version(App::new(), None).await, derived, "all processes of a build are one version");
}

#[derive(Default, Serialize, Deserialize)]
struct Other;

#[room(kind = "counter")]
impl Other {}

#[derive(Default, Serialize, Deserialize)]
struct Named;

/// The macro would have refused its name.
impl Room for Named {
    const KIND: &'static str = "a-kind-whose-name-is-longer-than-any-that-may-be-said-to-a-broker";

    fn on_message(&mut self, _: &mut Ctx, _: Origin, _: &str, _: &parlor::Payload) -> Result {
        Ok(())
    }
}

#[tokio::test]
async fn what_no_broker_could_take_does_not_start() {
    let options = || WorkerOptions::new("ws://127.0.0.1:1");
    let app = || App::new().version("1").room::<Counter>();
    let cases = [
        (App::new(), options(), "no rooms with handlers"),
        (app(), WorkerOptions::new("ws://nowhere"), "give ws://host:port"),
        (app(), WorkerOptions { capacity: 0, ..options() }, "capacity"),
        (app(), WorkerOptions { name: Some(String::new()), ..options() }, "`name` must have 1 to 64 bytes"),
        (app().version("v".repeat(65)), options(), "`version` must have 1 to 64 bytes"),
        (app().room::<Other>(), options(), "kind `counter` is offered twice"),
        (app().room::<Named>(), options(), "`kinds.name` must have 1 to 64 bytes"),
    ];
    for (app, options, why) in cases {
        let failure = app.start_worker(&options).unwrap_err();
        assert!(failure.code == "cannot_start" && failure.text.contains(why), "{failure}");
    }
}
