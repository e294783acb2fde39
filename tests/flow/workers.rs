//! Several workers of one process: one exchange for all of them.

use std::rc::Rc;
use std::time::Duration;

use mcp_deputy::exchange::reply::ExchangeError;
use mcp_deputy::exchange::{Callout, Settled};
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use crate::stage::{
    Data, Expect, Stage, Stream, call, configuration, delegation, exchange_callout, header, issued,
    merge, reply, token,
};

const SCOPE: &str = "ledger:ListAccounts";
const TICK: Duration = Duration::from_millis(5);
/// Who waits for another worker looks again by then.
const AT_THE_LATEST: Duration = Duration::from_millis(100);

fn workers() -> (Rc<Data>, [Stage; 2]) {
    with(configuration())
}

fn with(configuration: Value) -> (Rc<Data>, [Stage; 2]) {
    let data = Rc::<Data>::default();
    let workers = [(); 2].map(|()| Stage::beside(configuration.clone(), Rc::clone(&data)));
    (data, workers)
}

fn pass(workers: &mut [Stage; 2], time: Duration) {
    for worker in workers {
        worker.pass(time);
    }
}

fn ask(worker: &mut Stage, token: &str) -> (Stream, Step) {
    worker.send(token, &call("listAccounts"))
}

fn tick(worker: &mut Stage) -> (Vec<Callout>, Vec<Settled>) {
    let due = worker.shared.exchanges.due(&worker.shared.config.exchange, worker.now);
    (due.calls, due.settled)
}

/// What a stream that waits is told at a tick.
fn hears(worker: &mut Stage, stream: &mut Stream) -> Step {
    worker.pass(AT_THE_LATEST);
    let (calls, settled) = tick(worker);
    assert!(calls.is_empty(), "another worker has asked");
    let [settled] = settled.try_into().expect("it is settled");
    assert_eq!(settled.waiting, [stream.id]);
    stream.event(worker, Event::Exchanged(settled.result.as_ref()))
}

#[test]
fn what_one_worker_was_given_serves_the_others_to_the_same_end() {
    let (data, mut workers) = workers();
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (mut asker, step) = ask(first, &token);
    let up = asker.go_up(first, step);
    let (other, step) = ask(second, &token);
    assert_eq!(step.edits().set, up.set, "the same token");
    let record = other.close(second, 200).unwrap();
    assert_eq!(record["delegation"]["token_id"], "minted");
    // Who was served has not taken it away from those who come after.
    for _ in 0..2 {
        let mut one_more = Stage::beside(configuration(), Rc::clone(&data));
        assert!(matches!(ask(&mut one_more, &token).1, Step::Continue(_)));
    }

    // Five seconds less one, from when it was asked for.
    pass(&mut workers, Duration::from_millis(3_999));
    assert!(matches!(ask(&mut workers[1], &token).1, Step::Continue(_)));
    pass(&mut workers, Duration::from_millis(1));
    let [first, second] = &mut workers;
    let (_, step) = ask(second, &token);
    assert!(matches!(step, Step::Call(_)), "{step:?}");
    assert!(ask(first, &token).1.is_pause(), "once for both");
}

#[test]
fn who_waits_for_another_worker_goes_on_when_that_is_answered() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (_, step) = ask(first, &token);
    assert!(!first.shared.exchanges.waits_for_others());
    let (mut waiter, waits) = ask(second, &token);
    assert!(waits.is_pause());
    assert!(second.shared.exchanges.waits_for_others(), "so that it ticks soon");
    let (calls, settled) = tick(second);
    assert!(calls.is_empty() && settled.is_empty());

    let issued = Ok(issued(&delegation(SCOPE)));
    assert!(first.settle(&step.callout(), issued).unwrap().result.is_ok());
    second.pass(TICK);
    let (_, step) = ask(second, &token);
    assert!(matches!(step, Step::Continue(_)), "who comes now need not wait for the tick");
    assert!(matches!(hears(second, &mut waiter), Step::Continue(_)));
    assert!(!second.shared.exchanges.waits_for_others());
}

#[test]
fn an_error_is_told_to_those_who_waited_and_a_refusal_to_all_for_a_second() {
    let token = token(json!({}));
    for (answer, expected, is_refusal) in [
        (Err(ExchangeError::NoAnswer), 503, false),
        (Ok(reply(503, "")), 503, false),
        (Ok(reply(200, "<html>")), 502, false),
        (Ok(reply(400, json!({"error": "invalid_grant"}))), 401, true),
        (Ok(reply(400, json!({"error": "invalid_client"}))), 502, false),
    ] {
        let (_, mut workers) = workers();
        let [first, second] = &mut workers;
        let (_, step) = ask(first, &token);
        let (mut waiter, _) = ask(second, &token);
        pass(&mut workers, TICK);
        let [first, second] = &mut workers;
        assert!(first.settle(&step.callout(), answer.clone()).unwrap().result.is_err());
        assert_eq!(hears(second, &mut waiter).reply().status, expected, "{answer:?}");

        let (_, step) = ask(second, &token);
        assert_eq!(matches!(step, Step::Reply(_)), is_refusal, "{answer:?}: {step:?}");
        pass(&mut workers, Duration::from_secs(1));
        let step = ask(&mut workers[0], &token).1;
        assert_eq!(step.is_pause(), !is_refusal, "{answer:?}: {step:?}");
    }
}

/// The same request gets the same challenge, whichever worker it comes to.
#[test]
fn what_the_server_asks_of_the_user_is_told_by_every_worker() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let claims = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let error = json!({"error": "interaction_required", "claims": claims});
    let [first, second] = &mut workers;
    let (mut asker, step) = ask(first, &token);
    let settled = first.settle(&step.callout(), Ok(reply(400, error))).unwrap();
    let reply = asker.event(first, Event::Exchanged(settled.result.as_ref())).reply();
    let challenge = header(&reply, "www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_claims"), "{challenge}");
    let reply = ask(second, &token).1.reply();
    assert_eq!(header(&reply, "www-authenticate"), Some(challenge));
}

#[test]
fn a_refusal_heard_from_another_worker_is_forgotten_with_that_workers() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let [first, _] = &mut workers;
    let (_, step) = ask(first, &token);
    let refused = reply(400, json!({"error": "access_denied"}));
    assert!(first.settle(&step.callout(), Ok(refused)).unwrap().result.is_err());
    pass(&mut workers, Duration::from_millis(900));
    assert!(matches!(ask(&mut workers[1], &token).1, Step::Reply(_)));
    pass(&mut workers, Duration::from_millis(100));
    assert!(matches!(ask(&mut workers[1], &token).1, Step::Call(_)));
}

#[test]
fn when_those_who_asked_are_gone_another_worker_asks() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (asker, _) = ask(first, &token);
    let (waiter, _) = ask(second, &token);
    asker.close(first, 0);
    second.pass(TICK);
    let (calls, settled) = tick(second);
    assert_eq!((calls.len(), settled.len()), (1, 0));
    let reply = Ok(issued(&delegation(SCOPE)));
    assert_eq!(second.settle(&calls[0], reply).unwrap().waiting, [waiter.id]);
}

/// There are four places, and five who exchange: the first one's has gone to the fifth.
#[test]
fn who_has_lost_its_place_to_another_frees_none() {
    let mut configuration = configuration();
    configuration["limits"] = json!({"cached_delegations": 1});
    let (_, mut workers) = with(configuration);
    let tokens: Vec<String> =
        (0..5).map(|number: u8| token(json!({"jti": number.to_string()}))).collect();
    let mut asked = Vec::new();
    for token in &tokens {
        let (stream, step) = ask(&mut workers[0], token);
        let _ = step.callout();
        asked.push(stream);
        pass(&mut workers, TICK);
    }
    let [first, second] = &mut workers;
    assert!(asked.remove(0).close(first, 0).is_some());
    for token in &tokens[1..] {
        assert!(ask(second, token).1.is_pause(), "the first worker has asked");
    }
}

#[test]
fn a_worker_that_dies_holds_the_others_up_no_longer_than_its_server_has() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (_, step) = ask(first, &token);
    assert_eq!(step.callout().timeout, Duration::from_secs(2));
    let (waiter, _) = ask(second, &token);
    pass(&mut workers, Duration::from_secs(2));
    assert!(tick(&mut workers[1]).0.is_empty(), "its answer may be on the way");
    pass(&mut workers, Duration::from_millis(250));
    let (calls, _) = tick(&mut workers[1]);
    assert_eq!(calls[0].timeout, Duration::from_secs(2), "all the time there is");
    let reply = Ok(issued(&delegation(SCOPE)));
    assert_eq!(workers[1].settle(&calls[0], reply).unwrap().waiting, [waiter.id]);
}

#[test]
fn the_longer_it_takes_the_less_often_is_looked_for_it() {
    let (data, mut workers) = workers();
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (_, step) = ask(first, &token);
    assert!(matches!(step, Step::Call(_)));
    assert!(ask(second, &token).1.is_pause());
    data.reads.set(0);
    for _ in 0..400 {
        second.pass(TICK);
        let (calls, settled) = tick(second);
        assert!(calls.is_empty() && settled.is_empty());
        assert!(second.shared.exchanges.waits_for_others(), "and is ready for it");
    }
    let looks = data.reads.get() / 4;
    assert!((20..60).contains(&looks), "{looks} times in two seconds");
}

#[test]
fn what_another_worker_has_taken_over_is_left_to_it() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let asker = ask(&mut workers[0], &token).0;
    let waiter = ask(&mut workers[0], &token).0;
    pass(&mut workers, Duration::from_millis(2_250));
    let [first, second] = &mut workers;
    assert!(matches!(ask(second, &token).1, Step::Call(_)));
    asker.close(first, 0);
    assert!(tick(first).0.is_empty(), "the other has asked");
    waiter.close(first, 0);
    assert!(ask(first, &token).1.is_pause(), "and still does");
}

#[test]
fn another_attempt_and_another_server_are_still_the_same_workers() {
    let other = json!({
        "cluster": "other", "authority": "other.example", "client_authentication": "injected",
    });
    let mut configuration = configuration();
    configuration["exchange"] =
        merge(configuration["exchange"].clone(), json!({"retries": 1, "failover": other}));
    let (_, mut workers) = with(configuration);
    let token = token(json!({}));
    let [first, second] = &mut workers;
    let (_, step) = ask(first, &token);
    let (mut waiter, _) = ask(second, &token);
    let mut callout = step.callout();
    for cluster in ["authorization_server", "other"] {
        assert!(workers[0].settle(&callout, Err(ExchangeError::NoAnswer)).is_none());
        pass(&mut workers, Duration::from_millis(100));
        assert!(tick(&mut workers[1]).0.is_empty());
        callout = tick(&mut workers[0]).0.pop().unwrap();
        assert_eq!(&*callout.cluster, cluster);
    }
    let [first, second] = &mut workers;
    assert!(first.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap().result.is_ok());
    assert!(matches!(hears(second, &mut waiter), Step::Continue(_)));
}

#[test]
fn c03_nothing_is_shared_between_tokens_targets_and_configurations() {
    let (data, [mut first, mut second]) = workers();
    let sarah = token(json!({}));
    let (mut asker, step) = ask(&mut first, &sarah);
    asker.go_up(&mut first, step);

    let is_asked_for = |step: Step| assert!(matches!(step, Step::Call(_)), "{step:?}");
    is_asked_for(ask(&mut second, &token(json!({"jti": "another"}))).1);
    is_asked_for(ask(&mut second, &token(json!({"sub": "john"}))).1);
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).to_string();
    is_asked_for(second.send(&sarah, &list).1);
    let mut changed = configuration();
    changed["limits"] = json!({"body_bytes": 4096});
    is_asked_for(ask(&mut Stage::beside(changed, data), &sarah).1);
}

#[test]
fn what_is_not_cached_is_not_shared() {
    let mut uncached = configuration();
    uncached["policies"]["ledger"]["tools"]["listAccounts"]["delegation"]["cache"] = json!(false);
    let (data, mut workers) = with(uncached);
    let token = token(json!({}));
    for worker in &mut workers {
        let (mut stream, step) = ask(worker, &token);
        assert!(matches!(step, Step::Call(_)));
        stream.go_up(worker, step);
    }
    assert!(data.values.borrow().is_empty());
}

#[test]
fn the_shared_data_holds_no_secret_in_the_clear_and_its_places_are_few() {
    let mut small = configuration();
    small["limits"] = json!({"cached_delegations": 10});
    let (data, [mut first, _]) = with(small);
    for number in 0..200 {
        let token = token(json!({"jti": format!("inbound-{number}")}));
        let (mut stream, step) = ask(&mut first, &token);
        let up = stream.go_up(&mut first, step);
        let minted = up.set.iter().find(|(name, _)| *name == "authorization").unwrap();
        let minted = minted.1.strip_prefix("Bearer ").unwrap();
        for (value, _) in data.values.borrow().values() {
            for secret in [&token, minted, "sarah", "ledger", "minted", "Asked"] {
                assert!(!value.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
            }
        }
    }
    assert!((4..=12).contains(&data.values.borrow().len()));
}

#[test]
fn what_was_tampered_with_is_asked_for_anew() {
    let token = token(json!({}));
    let (data, [mut first, mut second]) = workers();
    let (mut stream, step) = ask(&mut first, &token);
    stream.go_up(&mut first, step);
    let (name, (value, version)) = data.values.borrow().clone().pop_first().unwrap();
    let mut tampered: Vec<Vec<u8>> =
        (0..value.len() * 8).step_by(7).map(|bit| flip(&value, bit)).collect();
    tampered.extend([vec![], value[..20].to_vec(), value[..24].to_vec(), value[..40].to_vec()]);
    tampered.push([&value[..], b"0"].concat());
    for value in tampered {
        data.values.borrow_mut().insert(name.clone(), (value, version));
        let (stream, step) = ask(&mut second, &token);
        assert!(matches!(step, Step::Call(_)), "{step:?}");
        stream.close(&mut second, 0);
    }
    data.values.borrow_mut().insert(name, (value, version));
    assert!(matches!(ask(&mut second, &token).1, Step::Continue(_)), "as it was, it serves");
}

fn flip(value: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = value.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

#[test]
fn of_two_workers_that_claim_at_once_one_asks() {
    let (data, [mut first, mut second]) = workers();
    let token = token(json!({}));
    let (asker, _) = ask(&mut first, &token);
    asker.close(&mut first, 0);
    data.overtakes.set(true);
    assert!(ask(&mut second, &token).1.is_pause(), "another was quicker");
    assert!(second.shared.exchanges.waits_for_others(), "and may not ask after all");
    second.pass(TICK);
    assert_eq!(tick(&mut second).0.len(), 1);
}

/// Workers of a gateway that acts by a token of its own, which each has to itself.
fn acting() -> [Stage; 2] {
    let mut configuration = configuration();
    configuration["exchange"]["actor_token"] = json!({"client_credentials": {}});
    with(configuration).1
}

fn another(number: u32) -> String {
    token(json!({"jti": number.to_string()}))
}

/// A worker asks for the gateway's own token, for a caller who is unknown to all, and gets none.
fn gets_no_own_token(worker: &mut Stage) {
    let (waiter, step) = ask(worker, &another(0));
    assert!(step.is_pause());
    let [own] = worker.due().try_into().expect("a request for the gateway's own token");
    let settled = worker.settle(&own, Err(ExchangeError::NoAnswer)).unwrap();
    assert_eq!(settled.waiting, [waiter.id]);
    assert_eq!(ask(worker, &another(0)).1.reply().status, 503);
}

#[test]
fn who_has_no_token_to_act_by_takes_what_another_worker_was_given() {
    let [mut first, mut second] = acting();
    for is_down in [false, true] {
        if is_down {
            gets_no_own_token(&mut second);
        }
        let token = another(1 + u32::from(is_down));
        let (_, step) = ask(&mut first, &token);
        let callout = exchange_callout(&mut first, step);
        let settled = first.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap();
        assert!(settled.result.is_ok());
        let (_, step) = ask(&mut second, &token);
        assert!(matches!(step, Step::Continue(_)), "is down: {is_down}: {step:?}");
        assert!(second.due().is_empty(), "there is nothing to ask for");
    }
}

#[test]
fn who_waits_for_another_worker_needs_no_token_to_act_by() {
    let [mut first, mut second] = acting();
    let token = another(1);
    let (_, step) = ask(&mut first, &token);
    let callout = exchange_callout(&mut first, step);
    let (mut waiter, step) = ask(&mut second, &token);
    assert!(step.is_pause());
    assert!(second.shared.exchanges.waits_for_others(), "so that it ticks soon");
    assert!(second.due().is_empty());
    gets_no_own_token(&mut second);
    let settled = first.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap();
    assert!(settled.result.is_ok());
    assert!(matches!(hears(&mut second, &mut waiter), Step::Continue(_)));
}

#[test]
fn who_was_left_to_another_worker_that_is_gone_needs_a_token_to_act_by() {
    for fails in [true, false] {
        let [mut first, mut second] = acting();
        let token = another(1);
        let (asker, step) = ask(&mut first, &token);
        let _ = exchange_callout(&mut first, step);
        let (mut waiter, step) = ask(&mut second, &token);
        assert!(step.is_pause());
        asker.close(&mut first, 0);
        if fails {
            gets_no_own_token(&mut second);
            assert_eq!(hears(&mut second, &mut waiter).reply().status, 503);
        } else {
            second.pass(TICK);
            assert!(second.due().is_empty(), "it learns that nobody asks");
            let callout = exchange_callout(&mut second, Step::Pause);
            let settled = second.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap();
            assert_eq!(settled.waiting, [waiter.id]);
        }
    }
}

/// Those who were given it by another worker keep it until their own MCP server's word.
#[test]
fn what_the_mcp_server_rejects_is_taken_from_no_worker() {
    let (_, mut workers) = workers();
    let token = token(json!({}));
    let issue = |worker: &mut Stage, (mut stream, step): (Stream, Step), id: &str| {
        let issued = issued(&merge(delegation(SCOPE), json!({ "jti": id })));
        let settled = worker.settle(&step.callout(), Ok(issued)).unwrap();
        let _ = stream.event(worker, Event::Exchanged(settled.result.as_ref())).edits();
    };
    let cached = |worker: &mut Stage, id: &str| {
        let (stream, step) = ask(worker, &token);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        let record = stream.close(worker, 200).unwrap();
        assert_eq!(record["delegation"]["token_id"], id);
    };
    let rejected = |worker: &mut Stage| {
        let (mut stream, step) = ask(worker, &token);
        let _ = step.edits();
        assert_eq!(stream.response(worker, &[(":status", "401")]).reply().status, 502);
    };
    let [first, second] = &mut workers;
    let asked = ask(first, &token);
    issue(first, asked, "first");
    cached(second, "first");
    pass(&mut workers, Duration::from_secs(2));

    let [first, second] = &mut workers;
    rejected(second);
    let asked = ask(second, &token);
    assert!(matches!(asked.1, Step::Call(_)), "{:?}", asked.1);
    issue(second, asked, "second");
    // The first worker learns of it by itself, and takes nothing from the others.
    rejected(first);
    cached(first, "second");
    cached(second, "second");
}
