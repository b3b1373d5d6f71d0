//! The same over TCP, through a proxy that misbehaves, in real time and on several threads.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use parlor::WorkerOptions;
use parlor::broker::Broker;
use parlor::broker::broker::Setup;
use parlor_client::{ClientError, Options, Parlor};
use parlor_tests::seed::fork;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::net::{Fault, Plan, Weather, carry};
use crate::run::{Cast, Report, app, limits, play, start};

/// Runs a seed.
pub(crate) async fn run(seed: u64) -> Report {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut config, tight) = limits(&mut rng);
    config.shards = 2;
    let broker = start(&config, Setup::default()).await;
    let addr = broker.addr();
    let chaos = Duration::from_millis(rng.random_range(1_500..4_000));
    let cast = Cast::random(&broker, &mut rng, chaos, Duration::from_secs(4));
    let report = play(broker, cast, move |weather, options| connect(addr, weather, options)).await;
    Report { tight, parallel: true, ..report }
}

/// Runs a seed with the handlers in workers, one of which dies now and then. Their memory is this process's, so that what handlers write
/// down is found as ever; their connections are real, and what was on its way on them is lost.
pub(crate) async fn run_with_workers(seed: u64) -> Report {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut config, tight) = limits(&mut rng);
    config.shards = 2;
    let path = std::env::temp_dir().join(format!("parlor-chaos-{}-{seed}.sock", std::process::id()));
    config.workers.socket = Some(path.clone());
    let broker = Broker::start(&config, Vec::new(), Default::default()).await.unwrap();
    let options = WorkerOptions { threads: 1, ..WorkerOptions::new(format!("unix:{}", path.display())) };
    let mut workers = [(); 2].map(|()| app().start_worker(&options).unwrap());
    for worker in &workers {
        worker.welcomed().await.unwrap();
    }
    let addr = broker.addr();
    let chaos = Duration::from_millis(rng.random_range(1_500..4_000));
    let cast = Cast::random(&broker, &mut rng, chaos, Duration::from_secs(4));
    let mut death = fork(&mut rng);
    let dying = tokio::spawn(async move {
        let heal = Instant::now() + chaos;
        loop {
            sleep(Duration::from_millis(death.random_range(20..400))).await;
            if Instant::now() > heal {
                // There until the end.
                return std::future::pending::<()>().await;
            }
            workers[death.random_range(0..2)] = app().start_worker(&options).unwrap();
        }
    });
    let report = play(broker, cast, move |weather, options| connect(addr, weather, options)).await;
    dying.abort();
    Report { tight, parallel: true, ..report }
}

async fn connect(broker: SocketAddr, weather: Weather, options: Options) -> Result<Parlor, ClientError> {
    let connector = move || {
        let plan = weather.next();
        async move {
            if plan.fault == Fault::Refused {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let near = listener.local_addr()?;
            tokio::spawn(proxy(listener, broker, plan));
            TcpStream::connect(near).await
        }
    };
    Parlor::through(connector, options).await
}

/// Carries one connection.
async fn proxy(listener: TcpListener, broker: SocketAddr, plan: Plan) -> io::Result<()> {
    let (client, _) = listener.accept().await?;
    let broker = TcpStream::connect(broker).await?;
    for socket in [&client, &broker] {
        socket.set_nodelay(true)?;
        if plan.resets() {
            // What is dropped is reset then, and bytes on their way are lost.
            socket.set_zero_linger()?;
        }
    }
    carry(client, broker, plan).await;
    Ok(())
}
