//! What is done against those who mean harm, row by row, and which tests show it.

mod floods;
mod frames;
mod memory;
mod names;
mod secrets;

use std::path::Path;

/// Threats, and the tests that show what becomes of them. Rows that are about what there is not (worker processes, an operators' page,
/// other machines) are missing.
const THREATS: &[(&str, &[&str])] = &[
    (
        "pages of strangers use the browser of a player",
        &[
            "edges::origins::only_the_server_s_own_pages_may_connect",
            "edges::origins::other_pages_may_connect_if_they_are_listed",
        ],
    ),
    (
        "what proves who somebody is ends up in logs",
        &["security::secrets::a_token_in_the_address_is_not_looked_at", "security::secrets::nothing_secret_is_logged"],
    ),
    (
        "heads of requests that are too large, or strange",
        &[
            "edges::handshakes::what_is_no_websocket_handshake_is_refused",
            "edges::handshakes::a_head_has_so_many_bytes_and_lines",
        ],
    ),
    (
        "handshakes, hellos and messages that take for ever",
        &[
            "edges::handshakes::slow_heads_are_cut_off_and_counted_and_quiet_connections_are_not",
            "edges::handshakes::a_body_has_to_come_along",
            "edges::tls::slow_tls_handshakes_are_cut_off_and_hold_up_nobody",
            "errors::connection::a_client_that_says_no_hello_is_let_go",
            "identity::hook::a_check_without_an_answer_is_given_up",
            "security::frames::a_message_that_is_never_finished_ends_the_connection",
        ],
    ),
    (
        "lengths that are not true, or too large",
        &[
            "errors::connection::a_frame_far_beyond_the_limit_ends_the_connection_before_it_is_read",
            "hostile::frames_over_the_limit_are_answered_and_far_beyond_it_end_the_connection",
            "security::frames::the_largest_lengths_are_refused_at_once",
            "security::memory::announced_lengths_cost_nothing",
        ],
    ),
    (
        "messages in countless fragments",
        &[
            "security::frames::a_message_in_too_many_fragments_ends_the_connection",
            "security::frames::control_frames_between_fragments_are_fine",
            "security::frames::fragments_do_not_add_up_to_more_than_a_frame_may_have",
        ],
    ),
    ("small messages that grow when they are unpacked", &["security::frames::compression_is_not_spoken"]),
    (
        "floods of control frames",
        &[
            "security::floods::a_flood_of_control_frames_ends_the_connection",
            "hostile::pings_whose_answers_nobody_reads_end_the_connection",
            "hostile::pings_whose_answers_nobody_reads_do_not_pile_up",
        ],
    ),
    ("texts that are none", &["errors::connection::a_text_that_is_not_utf8_ends_the_connection"]),
    (
        "floods of messages",
        &[
            "errors::entry::rate_limited",
            "security::floods::who_goes_on_beyond_the_rate_is_closed",
            "security::floods::bytes_count_as_messages_do",
            "security::floods::who_slows_down_goes_on",
            "hostile::a_flood_fills_only_its_senders_share_of_the_queue",
            "hostile::garbage_is_answered_a_few_times_and_then_ends_the_connection",
        ],
    ),
    (
        "floods of connections",
        &[
            "edges::addresses::an_address_has_so_many_sessions_and_gets_their_places_back",
            "edges::addresses::a_flood_of_connections_ends_at_the_door",
            "edges::addresses::behind_a_trusted_proxy_it_is_the_client_s_address_that_counts",
        ],
    ),
    (
        "floods of rooms",
        &["errors::provoke::server_full", "security::floods::rooms_without_a_seat_for_their_maker_count_as_made"],
    ),
    ("memory for those who have not said who they are", &["security::memory::strangers_cost_little"]),
    (
        "sessions of others taken over",
        &[
            "identity::resume::a_session_is_nobody_else_s",
            "identity::resume::the_old_token_is_good_until_the_new_one_has_arrived",
            "identity::resume::a_token_that_was_changed_anywhere_is_none",
            "identity::resume::a_session_that_has_ended_is_gone",
            "identity::resume::a_token_of_another_process_is_of_no_use_even_with_one_secret",
            "identity::resume::the_old_connection_is_cut_off",
            "identity::expiry::a_kept_session_waits_for_a_client_whose_token_has_ended",
        ],
    ),
    (
        "names that mean something else elsewhere",
        &["security::names::rooms_have_plain_ids", "security::names::topics_are_those_of_the_policy"],
    ),
    (
        "crowds that come and go, multiplied by those who watch",
        &["security::floods::a_join_costs_each_member_one_small_frame_at_most"],
    ),
];

#[test]
fn each_threat_has_tests_that_are_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    for (threat, tests) in THREATS {
        assert!(!tests.is_empty(), "{threat}");
        for test in *tests {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = folder.join(module.replace("::", "/")).with_extension("rs");
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{test}: {error}"));
            assert!(text.contains(&format!("async fn {name}(")), "{test} is not there");
        }
    }
}
