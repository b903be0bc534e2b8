//! A configuration that changes: what stays and what is opened anew.

use super::plan;
use aqueduct::Wait;
use aqueduct::config::Channels;

fn text(keys: &str) -> String {
    format!(
        "a1.sources = r1\na1.channels = c1 c2\na1.sources.r1.type = seq\na1.sources.r1.totalEvents = 5\na1.sources.r1.channels = c1 c2\n\
         a1.channels.c1.type = memory\na1.channels.c2.type = memory\n{keys}\n"
    )
}

#[test]
fn channels_that_did_not_change_go_on_with_what_is_in_them() {
    let mut channels = Channels::new();
    let depth = |channels: &Channels, name: &str| channels.get(name).map(|channel| channel.stats().depth_events);
    let first = plan(&text("")).unwrap();
    assert_eq!(channels.changed_by(&first), [""; 0]);
    first.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(5), Some(5)));

    let second = plan(&text("a1.channels.c2.capacity = 50")).unwrap();
    assert_eq!(channels.changed_by(&second), ["c2"]);
    second.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(10), Some(5)));

    let third = plan(&text("a1.channels = c1\na1.sources.r1.channels = c1")).unwrap();
    assert_eq!(channels.changed_by(&third), ["c2"]);
    third.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(15), None));
    channels.close().unwrap();
    assert_eq!(depth(&channels, "c1"), None);
}
