// Package simulation tells stories to a real controller, in fake time: servers
// crash, freeze, flap, lie and come back; routers are slow, refuse, are cut off
// half-way, restart and lose routes; operators drain, pin, undrain and reload good
// and bad files; the controller is stopped and killed at any point, also between
// keeping an intent and acting on it; the clock begins and ends maintenance. It
// consists of tests alone.
//
//	site_test.go      the configuration, and how operators change it
//	servers_test.go   what is so of the servers
//	prober_test.go    what the senses would say of that, and when
//	routers_test.go   routers in memory, whose every change is looked at
//	mishaps_test.go   what happens to routers
//	operators_test.go what was said, and what was answered
//	kinds_test.go     all kinds of events: a new one needs a line and a function
//	story_test.go     a story, from one seed; ends_test.go: how all must end
//	world_test.go     all of that around a controller
//
// What is real: the controller, steer, health, the state file on a disk, the
// parser of the configuration. What is a model: the clock (testing/synctest),
// drivers/mem, the prober. The prober makes checks at the times the real one would,
// echo, bursts and paces included, but for results that would only repeat what is
// known while nothing happens: these come once a minute. That is what makes it
// fast: some thousand simulated minutes in a second.
//
// # The laws
//
// They are held at each event, each change of a router and each line of the
// journal, and when all has come to rest.
//
//   - A VIP with an eligible server is routed to one (routed_test.go). The bounds
//     are derived from the file: a server that fails, or is sent traffic though it
//     fails, is left after one interval and a timeout, fall checks in doubt, and
//     what the router needs; one that is well again counts after the 32-fold rise
//     of flap damping; a router that could not be steered is right after one poll; a
//     start waits 10 s for routers, and for the checks of a verdict that is unsteady.
//     A server that asks to be drained is left after one interval, too.
//     With the defaults and a router that answers in 50 ms, that is 6 s, 20 s, 13 s
//     and 20 s at most.
//   - Nothing moves without a reason, and the reason is true (moves_test.go): who is
//     left is down, drained, or no longer in the file; who joins is up and in service;
//     nobody better is passed over; a failback obeys its policy, and goes home. That
//     is judged by the journal's verdicts; these are judged by the truth and by the
//     results that were told (belief_test.go).
//   - No VIP loses a route that it had, on a router that did not lose it itself.
//     With on_all_down withdraw it does, when nobody is eligible.
//   - Routers are told what is wanted; what is called in sync, or confirmed, is so.
//   - Intent that was acknowledged is never lost; what was asked for until a time
//     ends then, and a drain until a reboot after one. A server that is put back in service
//     gets its traffic, though failback be by hand, also if it is not well until later.
//   - With witnesses, no failure moves traffic before one was heard after it.
//   - Failures move no more on a router than its change_limit, across restarts.
//   - Changes are bounded (belief_test.go). The i-th fall of a verdict within five
//     minutes takes rise × 2^i passes before it, which are fast_interval apart; with
//     the defaults that are 7 falls in 24 s and 290 in an hour at most, however a
//     server flaps. A verdict that changes moves a VIP once, and once more when a
//     failback is due, which takes 60 s of health before: one server that flaps moves
//     a VIP away and back 60 times an hour at most.
//   - After the last fault all is as it should be (ends_test.go): status says so, a
//     plan is empty, steer would change nothing if it knew the truth and began with
//     the routers' routes, VIPs are at their best tier, and no goroutine is left.
//
// # A story that breaks a law
//
// It is told again without one event after the other, and what is left is printed:
// the file, every event, what the controller said and did, and the command that
// tells it again. Everything of the model is from the seed; what several goroutines
// do in the same instant is up to Go's scheduler, so a story may need telling twice.
//
// # Does it find anything?
//
// These rules were broken by hand, one at a time, and each was found after so many
// simulated minutes, all stories together, by this law:
//
//	steer       unknown is as bad as down                                   70  reason
//	steer       failback does not wait for after                           180  reason
//	steer       who is drained is eligible                                 340  reason, routed
//	steer       with keep, a route is withdrawn when nobody is eligible    440  reason
//	steer       members of an ecmp tier do not join by themselves         1160  the end
//	steer       an undrain recalls nothing                                2900  an undrain brings traffic back
//	steer       a loss counts though no witness was heard                  210  reason
//	steer       traffic returns at any time of day                         440  reason
//	steer       who asks for no new traffic is eligible                   1070  routed
//	steer       hours hold up an operator's undrain, too                 38200  an undrain brings traffic back
//	health      one failure is a fall                                       10  verdicts are true
//	health      flapping is not damped                                    1010  changes are bounded
//	health      a loss brings nothing down                                2350  routed
//	state       Save forgets the rename                                    130  intent
//	controller  of two orders, a worker takes the older                     20  routed, the end
//	controller  a start adopts nothing                                     170  reason
//	controller  nothing is decided when it is due                          290  the end
//	controller  a drain is not proven                                      350  a drain is proven first
//	controller  a router that failed is not tried again                    410  routed
//	controller  an intent is acted on, and not kept                        600  intent
//	controller  a reload forgets the drains                                900  intent, reason
//	controller  what was recalled once is recalled for ever               1360  reason
//	controller  a fight is never over                                     2180  the end
//	controller  what was changed is not read back                         3260  in sync, the end
//
// What stays unfound: that results of checks which began before a loss do not count,
// since the model's are decided at once; and what no story has: an agent's percentages, and a
// resume through a restart, because whether anything is frozen is not modelled so exactly.
package simulation
