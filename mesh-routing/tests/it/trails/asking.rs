//! Who asks what, who passes it on, and how answers come back.

use core::time::Duration;

use mesh_routing::{Scope, TrailEvent};
use mesh_wire::codec::List;
use mesh_wire::message::routing::{Find, Found};
use mesh_wire::{FindKey, HopTag, Rng, Role, limits};

use super::alone::{Alone, find, found, hops, packet, presence, tag};
use super::{KEY, keyed};

const MOMENT: Duration = Duration::from_millis(1);

// spec: ROUTE-2
#[test]
fn a_tag_changes_with_the_pseudonym_and_the_old_one_is_good_for_a_while() {
    let mut node = Alone::among(3);
    let old = node.tag();
    node.router.rotate(node.now);
    let new = node.tag();
    assert_ne!(new, old);
    let carries = |node: &mut Alone, tag_of_node| {
        node.hear(3, presence(tag(3)));
        node.hear(2, packet(&[tag(2), tag_of_node, tag(3)], 1));
        node.packets(3).len()
    };
    assert_eq!((carries(&mut node, old), carries(&mut node, new)), (1, 1));
    node.wait(limits::TAG_GRACE - MOMENT);
    assert_eq!(carries(&mut node, old), 1);
    node.wait(MOMENT);
    assert_eq!((carries(&mut node, old), carries(&mut node, new)), (0, 1));
}

// spec: ROUTE-2
#[test]
fn who_hears_its_own_tag_again_keeps_it_while_the_one_before_is_good() {
    let mut node = Alone::among(3);
    let (old, mut tags) = (node.tag(), Vec::new());
    for _ in 0..100 {
        let own = node.tag();
        tags.push(own);
        node.hear(2, presence(own));
        node.hear(3, presence(tag(3)));
        node.hear(1, packet(&[tag(1), old, tag(3)], 1));
        assert_eq!(node.packets(3).len(), 1, "paths through here still work");
    }
    tags.dedup();
    assert_eq!(tags.len(), 2);
    node.wait(limits::TAG_GRACE);
    let own = node.tag();
    node.hear(2, presence(own));
    assert_ne!(node.tag(), own);
}

// spec: ROUTE-2
#[test]
fn who_hears_its_own_tag_takes_another_and_says_so_to_everybody() {
    let mut node = Alone::among(3);
    let old = node.tag();
    node.hear(2, presence(old));
    for neighbour in 1..=3 {
        let said = node.says(neighbour);
        let [mesh_wire::message::RouteMessage::Presence(said)] = &said[..] else {
            panic!("neighbour {neighbour} is told {said:?}")
        };
        assert_ne!(said.tag, old);
    }
}

// spec: ROUTE-3
#[test]
fn of_two_neighbours_with_one_tag_the_older_gets_the_packets() {
    let mut node = Alone::among(3);
    let own = node.tag();
    // The youngest calls itself like the second, and so does one that comes later.
    node.hear(3, presence(tag(2)));
    node.meet(4, tag(2));
    node.hear(1, packet(&[tag(1), own, tag(2)], 1));
    assert_eq!([2, 3, 4].map(|link| node.packets(link).len()), [1, 0, 0]);
    node.lose(2);
    node.hear(1, packet(&[tag(1), own, tag(2)], 1));
    assert_eq!([3, 4].map(|link| node.packets(link).len()), [2, 0], "the first once more");
}

// spec: ROUTE-4
#[test]
fn a_find_can_be_told_from_others_with_the_key_only() {
    let mut node = Alone::among(2);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let mut asked = Vec::new();
    for _ in 0..80 {
        asked.append(&mut node.finds(1));
        node.wait(Duration::from_millis(100));
    }
    assert_eq!(asked.len(), 2);
    for (index, find) in asked.iter().enumerate() {
        assert_eq!(find.tag, keyed(&KEY, &[&[0], &find.id]));
        let (before, _) = asked.split_at(index);
        assert!(before.iter().all(|other| other.id != find.id && other.tag != find.tag));
    }
}

// spec: ROUTE-5
#[test]
fn a_search_goes_as_far_as_it_is_to_and_ends() {
    let scopes: [(Scope, &[(u64, u8)]); 3] = [
        (Scope::Near, &[(400, 3)]),
        (Scope::Wide, &[(2500, 32)]),
        (Scope::Full, &[(2500, 32), (4000, 32)]),
    ];
    for (seed, (scope, stages)) in mesh_sim::seeds(16).zip(scopes.into_iter().cycle()) {
        let mut node = Alone::among(2);
        node.router = mesh_routing::Router::new(mesh_sim::seed::rng(seed));
        (1..=2).for_each(|link| node.meet(link, tag(link)));
        assert!(node.router.seek(node.now, KEY, scope));
        for (wait, hops) in stages {
            for link in [1, 2] {
                let finds = node.finds(link);
                let [find] = &finds[..] else { panic!("{finds:?}") };
                assert!((*hops..=hops + 1).contains(&find.hops_left), "{}", find.hops_left);
                assert!(find.hops.is_empty() && find.avoid.is_empty());
            }
            node.wait(Duration::from_millis(*wait) - MOMENT);
            assert_eq!((node.finds(1), node.events()), (vec![], vec![]), "it is not over");
            node.wait(MOMENT);
        }
        assert_eq!(node.events(), [TrailEvent::Searched(KEY, None)]);
        assert_eq!(node.finds(1), []);
    }
}

// spec: ROUTE-5
#[test]
fn a_find_is_passed_on_once_after_a_moment_to_whom_it_was_not_heard_from() {
    let mut node = Alone::among(5);
    node.hear(1, find(1));
    assert_eq!(node.finds(2), [], "it waits a moment");
    node.hear(3, Find { cost: 10, ..find(1) });
    node.wait(limits::FIND_JITTER);
    // It waits for the link, too.
    node.hear(5, find(1));
    assert_eq!(node.finds(5), []);
    let passed = Find { hops_left: 31, cost: 150, ..find(1) };
    for (link, expected) in [(1, vec![]), (2, vec![passed.clone()]), (3, vec![]), (4, vec![passed])]
    {
        assert_eq!(node.finds(link), expected, "link {link}");
    }
    node.hear(2, find(1));
    node.wait(limits::FIND_LIFE - 2 * limits::FIND_JITTER);
    node.hear(2, find(1));
    node.wait(limits::FIND_JITTER);
    assert!((1..=4).all(|link| node.finds(link).is_empty()), "it was seen");
    node.hear(2, find(1));
    node.wait(limits::FIND_JITTER);
    assert_eq!(node.finds(1).len(), 1, "it is forgotten");
}

// spec: ROUTE-5
#[test]
fn a_find_ends_where_its_hops_do_and_where_it_is_not_to_go() {
    let mut node = Alone::among(2);
    let own = node.tag();
    node.hear(1, Find { hops_left: 1, ..find(1) });
    node.hear(1, Find { avoid: List::new(&[tag(7), own]), ..find(2) });
    node.wait(limits::FIND_JITTER);
    assert_eq!(node.finds(2), []);
    // A number of hops that nobody says is cut to what anybody does.
    node.hear(1, Find { hops_left: 255, ..find(3) });
    node.wait(limits::FIND_JITTER);
    assert_eq!(node.finds(2)[0].hops_left, 32);
    // Who is avoided still answers for itself.
    node.router.answer_to([(KEY, 1)]);
    node.hear(1, Find { avoid: List::new(&[own]), hops_left: 1, ..find(4) });
    assert_eq!(node.founds(1).len(), 1);
}

// spec: ROUTE-6
#[test]
fn a_link_brings_so_many_finds_and_others_as_many() {
    let mut node = Alone::among(3);
    let taken = |node: &mut Alone, link, ids: core::ops::Range<u32>| {
        for id in ids {
            let id = [&[link as u8; 4][..], &id.to_be_bytes()].concat().try_into().unwrap();
            node.hear(link, Find { id, ..find(0) });
        }
        node.wait(limits::FIND_JITTER);
        node.finds(3).len() as u32
    };
    assert_eq!(taken(&mut node, 1, 0..100), limits::FIND_BURST);
    assert_eq!(taken(&mut node, 2, 0..100), limits::FIND_BURST);
    node.wait(10 * limits::FIND_REFILL - 2 * limits::FIND_JITTER);
    assert_eq!(taken(&mut node, 1, 100..200), 10);
}

// spec: ROUTE-6
#[test]
fn a_link_whose_burst_is_spent_still_brings_one_find_each_refill() {
    let mut node = Alone::among(2);
    let ids = |round: u8, number: u8| Find { id: [round, number, 0, 0, 0, 0, 0, 0], ..find(0) };
    (0..200).for_each(|number| node.hear(1, ids(200, number)));
    node.wait(limits::FIND_JITTER);
    node.finds(2);
    let mut taken = 0;
    for number in 0..200 {
        node.wait(limits::FIND_REFILL * 3 / 5);
        node.hear(1, ids(0, number));
        taken += node.finds(2).len();
    }
    assert!((118..=121).contains(&taken), "{taken} in 12 s");
}

// spec: ROUTE-7
#[test]
fn who_holds_the_key_answers_and_proves_it() {
    let mut node = Alone::among(4);
    let own = node.tag();
    node.router.answer_to([(FindKey([8; 32]), 1), (KEY, 1)]);
    node.hear(1, find(1));
    let mut expected = Found { cost: 150, ..found(&find(1), &[own]) };
    assert_eq!(node.founds(1), [expected.clone()]);
    assert_eq!(node.events(), [TrailEvent::Asked(KEY)]);
    // Another copy, over another link, that costs half more.
    node.wait(limits::ANSWER_TIME - MOMENT);
    node.hear(2, Find { cost: 125, ..find(1) });
    expected.answer = 1;
    expected.cost = 225;
    expected.proof = keyed(&KEY, &[&[1], &find(1).id, &[1], &own.0]);
    assert_eq!(node.founds(2), [expected]);
    // More than half more; the third; one too many.
    node.hear(3, Find { cost: 126, ..find(1) });
    assert_eq!(node.founds(3), []);
    node.hear(3, find(1));
    assert_eq!(node.founds(3)[0].answer, 2);
    node.hear(4, find(1));
    assert_eq!(node.founds(4), []);
    // Who answers does not pass on, and nobody hears of it twice.
    node.wait(limits::FIND_JITTER);
    assert!((1..=4).all(|link| node.finds(link).is_empty()));
    assert_eq!(node.events(), []);
}

// spec: ROUTE-7
#[test]
fn a_late_copy_is_not_answered_and_who_lacks_the_key_never_does() {
    let mut node = Alone::among(2);
    node.router.answer_to([(KEY, 1)]);
    node.hear(1, find(1));
    assert_eq!(node.founds(1).len(), 1);
    node.wait(limits::ANSWER_TIME);
    node.hear(2, find(1));
    node.hear(2, Find { tag: [0; 8], ..find(2) });
    assert_eq!((node.founds(1).len(), node.founds(2).len()), (0, 0));
}

// spec: ROUTE-8
#[test]
fn an_answer_goes_back_the_way_of_the_question() {
    let mut node = Alone::among(5);
    let own = node.tag();
    let way = [tag(3), tag(9)];
    node.hear(1, find(1));
    node.hear(3, found(&find(1), &way));
    let passed = node.founds(1);
    assert_eq!(hops(&passed[0].path), [&[own][..], &way].concat());
    let mut same = passed[0].clone();
    same.path = List::new(&way);
    assert_eq!(passed.len(), 1);
    assert_eq!(same, found(&find(1), &way), "nothing else changes");
    // Not one that leads through here already, one that comes from where it would go, one to a
    // question nobody asked, or one too long to have a beginning.
    node.hear(3, found(&find(1), &[tag(3), own, tag(9)]));
    node.hear(1, found(&find(1), &way));
    node.hear(3, found(&find(2), &way));
    node.hear(3, found(&find(1), &[tag(3); limits::PATH_TAGS]));
    assert!((1..=5).all(|link| node.founds(link).is_empty()));
    // One that was passed back already, or too many others.
    node.hear(4, found(&find(1), &way));
    assert_eq!(node.founds(1), []);
    for proof in 0..10 {
        node.hear(4, Found { proof: [proof; 16], ..found(&find(1), &way) });
    }
    assert_eq!(node.founds(1).len() + 1, usize::from(limits::ANSWERS));
}

/// Where people walk, the neighbour that asked first may be gone when the answer comes.
// spec: ROUTE-8
#[test]
fn a_late_answer_goes_back_two_ways() {
    for (late, ways) in [(499, [1, 0, 0]), (500, [1, 1, 0])] {
        let mut node = Alone::among(5);
        for link in [1, 2, 3] {
            node.hear(link, find(1));
        }
        node.wait(late * MOMENT);
        node.hear(4, found(&find(1), &[tag(4), tag(9)]));
        assert_eq!([1, 2, 3].map(|link| node.founds(link).len()), ways, "after {late} ms");
        assert_eq!(node.founds(4), []);
    }
}

/// Who looks for another path asks those near the last one.
// spec: ROUTE-5
#[test]
fn a_question_for_another_path_stays_near_the_old_one() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let asks =
        |id, hops_left, tags: &[HopTag]| Find { along: List::new(tags), hops_left, ..find(id) };
    let cases = [
        (asks(1, 1, &[tag(30), own]), Some(limits::ALONG_HOPS - 1), "on the path"),
        (asks(2, 1, &[tag(3)]), Some(limits::ALONG_HOPS - 1), "beside it"),
        (asks(3, 3, &[tag(30)]), Some(2), "not far from it"),
        (asks(4, 1, &[tag(30)]), None, "far from it"),
        (asks(5, 32, &[tag(3)]), Some(limits::ALONG_HOPS - 1), "no further for who asks for more"),
    ];
    for (question, hops_left, why) in cases {
        node.hear(1, question);
        node.wait(limits::FIND_JITTER);
        assert_eq!(node.finds(2).pop().map(|find| find.hops_left), hops_left, "{why}");
    }
}

// spec: ROUTE-8
#[test]
fn an_asker_ignores_an_answer_whose_proof_is_wrong() {
    let mut node = Alone::among(2);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let find = node.finds(1).pop().unwrap();
    let right = found(&find, &[tag(1), tag(8), tag(9)]);
    let wrong = [
        Found { proof: [0; 16], ..right.clone() },
        Found { answer: 1, ..right.clone() },
        Found { path: List::new(&[tag(1), tag(8)]), ..right.clone() },
        Found { proof: found(&super::alone::find(3), &[tag(9)]).proof, ..right.clone() },
        Found { path: List::default(), ..right.clone() },
    ];
    for found in wrong {
        node.hear(1, found.clone());
        assert_eq!(node.events(), [], "{found:?}");
    }
    node.hear(1, right);
    let events = node.events();
    let [TrailEvent::Up { role: Role::Initiator, link, .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(node.router.relays(link), Some(2));
    node.wait(Duration::from_secs(1));
    assert_eq!(node.events(), [TrailEvent::Searched(KEY, Some(link))]);
}

/// Whatever way a FOUND claims, nothing but its end is proven: it is remembered as one of few.
// spec: ROUTE-8
#[test]
fn forged_proofs_never_open_anything() {
    for seed in mesh_sim::seeds(64) {
        let mut rng = mesh_sim::seed::rng(seed);
        let mut node = Alone::among(2);
        assert!(node.router.seek(node.now, KEY, Scope::Full));
        let find = node.finds(1).pop().unwrap();
        for _ in 0..64 {
            node.hear(1, forged(&mut rng, &find));
        }
        assert_eq!(node.events(), [], "seed {seed}");
    }
}

/// An answer of somebody who does not hold the key but has seen answers of others.
fn forged(rng: &mut Rng, question: &Find) -> Found {
    let mut way: Vec<HopTag> = (0..1 + rng.below(38)).map(|_| HopTag(rng.bytes())).collect();
    let (other, same) = (find(rng.below(256) as u8), question.clone());
    let model = match rng.below(3) {
        0 => found(&other, &way),
        1 => Found { proof: rng.bytes(), ..found(&same, &way) },
        _ => {
            let honest = found(&same, &way);
            way.push(HopTag(rng.bytes()));
            honest
        }
    };
    Found { id: same.id, answer: rng.below(4) as u8, path: List::new(&way), ..model }
}
