// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules by which deployments stay, and the place of a new one among them.

use crate::deployment::Deployment;

/// The deployments to keep beyond those that always stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Everything.
    pub all: bool,
    /// Deployments before the booted one, which would have been booted next.
    pub pending: bool,
    /// Deployments after the booted one, to which one could go back.
    pub rollback: bool,
}

impl Retention {
    /// Gives the words that stand for it in the record of a staged deployment.
    pub fn words(self) -> Vec<String> {
        let words = [(self.all, "all"), (self.pending, "pending"), (self.rollback, "rollback")];
        words.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()).collect()
    }

    /// Reads [`words`](Self::words). A word of a newer version keeps everything.
    pub fn of_words(words: &[String]) -> Self {
        let mut retention = Self::default();
        for word in words {
            match word.as_str() {
                "pending" => retention.pending = true,
                "rollback" => retention.rollback = true,
                _ => retention.all = true,
            }
        }
        retention
    }
}

/// The order of a new list; `None` is the place of the new deployment, a number an old one's index.
pub type NewList = Vec<Option<usize>>;

/// Puts a new deployment of `stateroot` first, or with `as_default` unset behind the booted (else the merge)
/// deployment. The booted and the merge deployment, pinned ones and those of other stateroots always stay.
pub fn arrange(
    old: &[Deployment],
    stateroot: &str,
    merge: Option<usize>,
    keep: Retention,
    as_default: bool,
) -> NewList {
    // The booted deployment parts those that are pending from those to roll back to. Where it is of another
    // stateroot, or nothing is booted, there is nothing pending.
    let crossover = old.iter().position(|d| d.booted && d.path.stateroot == stateroot);
    let mut list = NewList::new();
    if as_default {
        list.push(None);
    }
    for (index, deployment) in old.iter().enumerate() {
        // There is one staged deployment at most, and the new one takes its place.
        if deployment.staged {
            continue;
        }
        let behind = crossover.is_none_or(|at| index >= at);
        let stays = keep.all
            || deployment.may_be_pinned()
            || deployment.path.stateroot != stateroot
            || deployment.booted
            || merge == Some(index)
            || (keep.pending && !behind)
            || (keep.rollback && behind);
        if stays {
            list.push(Some(index));
        }
        let anchor = crossover.or(merge);
        if !as_default && anchor == Some(index) {
            list.push(None);
        }
    }
    if !list.contains(&None) {
        list.push(None);
    }
    list
}

/// The deployment whose `/etc` and kernel arguments a new one of `stateroot` takes over: the booted one, for it
/// has the configuration that the administrator sees; else the one that would be booted next.
pub fn merge_deployment(all: &[Deployment], stateroot: &str) -> Option<usize> {
    let own = |d: &&Deployment| d.path.stateroot == stateroot && !d.staged;
    let position = |wanted: &Deployment| all.iter().position(|d| std::ptr::eq(d, wanted));
    let booted = all.iter().filter(own).find(|d| d.booted);
    booted.or_else(|| all.iter().find(own)).and_then(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Origin;
    use formats::Checksum;
    use formats::bls::Entry;
    use formats::bootlink::DeploymentPath;

    /// One letter a deployment: its stateroot; upper case is booted, a `!` behind it pinned, a `?` staged.
    fn deployments(text: &str) -> Vec<Deployment> {
        let mut all: Vec<Deployment> = Vec::new();
        for (index, c) in text.chars().enumerate() {
            if c == '!' {
                let pin = &mut all.last_mut().unwrap().origin.0;
                pin.set_boolean("libostree-transient", "pinned", true);
                continue;
            }
            if c == '?' {
                all.last_mut().unwrap().staged = true;
                continue;
            }
            let path = DeploymentPath {
                stateroot: c.to_lowercase().to_string(),
                checksum: Checksum::of(&[u8::try_from(index).unwrap()]),
                deploy_serial: 0,
            };
            all.push(Deployment {
                path,
                boot_checksum: Checksum::of(b""),
                entry: Entry::default(),
                origin: Origin::default(),
                origin_problem: None,
                booted: c.is_uppercase(),
                staged: false,
                unlisted: false,
            });
        }
        all
    }

    #[test]
    fn what_stays() {
        let all = Retention { all: true, ..Retention::default() };
        let pending = Retention { pending: true, ..Retention::default() };
        let rollback = Retention { rollback: true, ..Retention::default() };
        let none = Retention::default();
        // Old list, what is kept, as default; then the new list: `+` is the new one, digits the old indices.
        for (old, keep, default, expected) in [
            ("", none, true, "+"),
            ("a", none, true, "+0"),
            ("aa", none, true, "+0"),
            ("aAa", none, true, "+1"),
            ("aAa", pending, true, "+01"),
            ("aAa", rollback, true, "+12"),
            ("aAa", all, true, "+012"),
            ("aAa", all, false, "01+2"),
            ("Aa!a", none, true, "+01"),
            ("abA", none, true, "+12"),
            ("aB", none, true, "+01"),
            ("aab", none, false, "0+2"),
            ("b", none, false, "0+"),
            ("a?Aa", all, true, "+12"),
            ("a?Aa", pending, false, "1+"),
        ] {
            let old_list = deployments(old);
            let merge = merge_deployment(&old_list, "a");
            let new = arrange(&old_list, "a", merge, keep, default);
            let new: String = new.iter().map(|i| i.map_or("+".to_owned(), |i| i.to_string())).collect();
            assert_eq!(new, expected, "{old} {keep:?} {default}");
        }
    }

    #[test]
    fn whose_configuration_is_taken() {
        for (all, expected) in [("", None), ("aA", Some(1)), ("Baa", Some(1)), ("B", None), ("a?a", Some(1))]
        {
            assert_eq!(merge_deployment(&deployments(all), "a"), expected, "{all}");
        }
    }
}
