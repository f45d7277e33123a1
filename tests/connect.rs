//! A tenant that Signet connects by itself, from end to end: the demo with a stand-in for Microsoft's cloud. An administrator signs in, consents, chooses,
//! authorises; the plan makes connectors and a rule; a trial message takes them; people are read; and the demo's mail takes the way that they give it.

use std::sync::Arc;
use std::time::Duration;

use signet::demo::{self, Connection};
use signet_cloud::{Cloud, Knobs, file, server};

/// On a busy machine; alone it takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(240);

fn run(change: impl FnOnce(&mut Knobs)) -> (Result<bool, String>, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = server::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let cloud = Arc::new(Cloud::small(&base).expect("it starts"));
        cloud.with(|world| change(&mut world.knobs));
        let folder =
            std::env::temp_dir().join(format!("signet-connect-{}-{}", std::process::id(), listener.local_addr().expect("bound").port()));
        file::write(&folder, &cloud, &base, None).expect("its file is written");
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&cloud), None));
        let mut out = Vec::new();
        let connection = Connection::Played(folder.join("cloud.json"));
        let ended = tokio::time::timeout(PATIENCE, demo::run(&folder.join("page"), &connection, &mut out)).await;
        serving.abort();
        drop(std::fs::remove_dir_all(&folder));
        let ended = ended.map_err(|_| "it takes too long".to_owned()).and_then(|ended| ended.map_err(|error| error.to_string()));
        (ended, String::from_utf8_lossy(&out).into_owned())
    })
}

#[test]
fn a_connected_tenants_mail_takes_the_way_of_its_connectors_and_comes_back_signed() {
    let (ended, out) = run(|_| {});
    assert_eq!(ended, Ok(true), "{out}");
    for told in [
        "Created the connector \"Send to Signet\".",
        "A message went through the loop and came back.",
        "Switched the rule \"Messages for Signet\" on.",
        "Connected; 11 people and",
        "09-meeting-request.eml is not sent to Signet.",
        "11 of 11 messages ended as they should.",
    ] {
        assert!(out.contains(told), "{told:?} is not in:\n{out}");
    }
}
