//! The main path, once.

use parlor::prelude::*;
use parlor_client::RoomEvent;
use parlor_tests::{Echo, Said, config, connect};

#[tokio::test]
async fn what_one_says_all_hear() {
    let broker = parlor::App::new().room::<Echo>().start(&config()).await.unwrap();
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let mut anns = ann.join_or_create("echo", &()).await.unwrap();
    let mut bobs = bob.join_or_create("echo", &()).await.unwrap();
    assert_eq!(anns.id(), bobs.id());
    assert_eq!(anns.send("say", &serde_json::json!({"text": "hi"})).unwrap(), 1);
    for room in [&mut anns, &mut bobs] {
        let message = room.recv().await.unwrap();
        assert!(matches!(message, RoomEvent::Message { .. }));
        assert_eq!(message.decode::<Said>().unwrap(), Said { from: PlayerId(1), text: "hi".into() });
    }
    let sum: i64 = bobs.request("add", &serde_json::json!({"a": 2, "b": 3})).await.unwrap();
    assert_eq!(sum, 5);
    let denied = bobs.request::<()>("deny", &()).await.unwrap_err();
    assert_eq!(denied.code(), "app.denied");
    ann.close().await;
    broker.shutdown().await;
}
