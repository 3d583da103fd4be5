//! A gate that closes while users come and go.

use std::sync::Arc;

use shuttle::thread;

use super::*;
use crate::sync::atomic::AtomicBool;
use crate::sync::explore;

#[test]
fn nobody_is_shut_in_and_no_work_is_left_behind() {
    explore(|| {
        let (gate, work) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
        let users: Vec<_> = (0..2)
            .map(|_| {
                let (gate, work) = (Arc::clone(&gate), Arc::clone(&work));
                thread::spawn(move || {
                    let entered = gate.enter();
                    if entered {
                        // What a user leaves behind keeps a tenant awake.
                        work.store(true, Ordering::SeqCst);
                        gate.leave();
                    }
                    entered
                })
            })
            .collect();
        let closed = (0..3).any(|_| !work.load(Ordering::SeqCst) && gate.close());
        let entered = users.into_iter().map(|user| user.join().unwrap()).filter(|entered| *entered);
        let entered = entered.count();
        assert!(!closed || entered == 0, "{entered} were inside, and the gate closed over their work");
        assert_eq!(gate.enter(), !closed);
    });
}

#[test]
fn a_gate_closes_for_good_and_once() {
    explore(|| {
        let gate = Arc::new(Gate::default());
        let closers: Vec<_> = (0..3)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || gate.close())
            })
            .collect();
        let closed = closers.into_iter().map(|closer| usize::from(closer.join().unwrap())).sum::<usize>();
        assert_eq!((closed, gate.enter()), (1, false));
    });
}
