package main

// why says what a bound that is missed is missed by, from the profiles, by the job that the verdict names. It is written by
// hand; a job that has no entry has no explanation yet.
var why = map[string]string{}

// boundedBy says what bounds each group of jobs now, from the profiles.
var boundedBy = []struct{ group, text string }{}
