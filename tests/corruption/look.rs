//! A look at a store from outside says what an open does, and changes nothing.

use aqueduct::store::{OnCorruption, RecoveryReport};
use aqueduct::vfs::sim::SimVfs;
use std::time::Duration;

use crate::check::{Found, Result, bytes_of};
use crate::image::{Image, builder};

/// Looks at a damaged store, then opens a copy of it.
pub(crate) fn agrees_with_an_open(image: &Image, disk: &SimVfs, policy: OnCorruption) -> Result<()> {
    let before = bytes_of(disk);
    let looked = builder(disk, image.lanes, 1000).on_corruption(policy).inspect();
    if bytes_of(disk) != before {
        return Err("a look from outside changes files".to_owned());
    }
    let copy = disk.snapshot();
    let opened = builder(&copy, image.lanes, 1000).on_corruption(policy).open();
    let (look, store) = match (looked, opened) {
        (Ok(look), Ok(store)) => (look, store),
        (Ok(look), Err(error)) if look.obstacles.is_empty() => {
            return Err(format!("a look sees no obstacle, and the open says: {error}"));
        }
        (Err(error), Ok(_)) => return Err(format!("a look fails although the store opens: {error}")),
        (_, Err(_)) => return Ok(()),
    };
    if let Some(obstacle) = look.obstacles.first() {
        return Err(format!("the store opens although a look says: {obstacle}"));
    }
    let timeless = |report: &RecoveryReport| {
        let mut report = report.clone();
        report.took = Duration::ZERO;
        report
    };
    let (told, said) = (timeless(store.recovery_report()), timeless(&look.report));
    if told != said {
        return Err(format!("the open reports {told:?}, the look {said:?}"));
    }
    let found = Found::in_store(image, &store, &[])?;
    let verified = look.verify(|_| ());
    if !verified.unreadable.is_empty() {
        return Err(format!("files cannot be read: {:?}", verified.unreadable));
    }
    if !found.failures.is_empty() {
        // The open does not look at every event, a verification does.
        let named = verified.damage.iter().any(|damage| damage.events != Some(0));
        return if named { Ok(()) } else { Err(format!("{:?} is not found before", found.failures)) };
    }
    for channel in &look.channels {
        let name = image.name_of(&channel.name);
        let keys = look.events(&channel.name).map(|stored| {
            let stored = stored.map_err(|error| error.to_string())?;
            let key = image.key_of(&name, &stored.event)?;
            let same = key == (stored.id.lane, stored.id.seq);
            if same { Ok(key) } else { Err(format!("event {key:?} counts as {:?}", stored.id)) }
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        if keys != found.content.waiting[&name] || channel.events != found.early[&name].0 {
            return Err(format!("a look finds {} events, {keys:?}, in {name}; there are {found:?}", channel.events));
        }
    }
    let positions = look.positions.iter().map(|(owner, value)| (owner.clone(), value.to_vec())).collect();
    if found.content.positions == positions {
        return Ok(());
    }
    Err(format!("a look finds the positions {positions:?}; there are {:?}", found.content.positions))
}
