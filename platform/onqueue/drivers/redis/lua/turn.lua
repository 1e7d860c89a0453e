-- Confirm finished jobs of a holder and reserve the next ones: from the first queue up to `want`, from a lower one at most one.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] state       {onqueue:redis}:state
-- KEYS[7] paused      {onqueue:redis}:paused
-- KEYS[8] ties        {onqueue:redis}:ties
-- KEYS[9..] queues    ready, delayed and wake of each queue, highest priority first; then timers of each; then held-slots, parked, lanes, granted; then ring, then shares and then offers of each; then idle, inbox and fair
-- ARGV[1] holder      token
-- ARGV[2] offset      ms added to the server's clock (tests)
-- ARGV[3] want        number of jobs, 0 confirms only
-- ARGV[4] count       number of queues
-- ARGV[5] desk        names and keys of what ties may change
-- ARGV[6] fair        how many jobs of a few lanes it may bring
-- ARGV[7] order       1 when they are run one after the other, 0 with threads
-- ARGV[8] waited      1 when it offered itself to pushers before, else 0
-- ARGV[9] address     what it offers to pushers while nothing is ready, "" for nothing
-- ARGV[10] lasts      ms for which the offer stands
-- ARGV[11] tie        that all finished jobs have, "-" when they have at most a lane each, "" when they are to be looked up
-- ARGV[12..] rest     names of the queues, then the ids of finished jobs
-- Returns -1 when the lease is lost, else {header, blob, tie of each when any has one, or one for all; "{ }" for a lane that the payload tells}; header: ms until the next due job (-1 none) | number of the queue |
--   ids | lengths | states | ids refused | ids without a payload | 1 for each that is cancelled, else 0 | 1 errands, 2 transfers, 3 both | version of the pauses | ids that were given slots; blob: the payloads one after the other
-- Flags allow-oom
-- Includes _alive _clock _wake _ready _desk _ended _confirm _fetch _paused _line_up _pick _tie _hold _reserve
if not alive(KEYS[1], ARGV[1]) then return -1 end
local count = tonumber(ARGV[4])
local trios, timers, names = 9, 9 + count * 3, 12
local rings, offers, idle = timers + count + 4, timers + count * 3 + 4, timers + count * 4 + 4
local desk = desk_if(KEYS[8], ARGV[5])
local refused = table.concat(confirm(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], desk, names + count, ARGV[11]))
local want = tonumber(ARGV[3])
if ARGV[8] == '1' or redis.call('EXISTS', KEYS[idle + 1]) == 1 then
  -- Here _take_back
  take_back(KEYS[idle], ARGV[1], KEYS[idle + 1], KEYS[2], KEYS[3], KEYS[4], trios, names, count)
end
if want == 0 then return {'-1|0||||' .. refused .. '|||' .. left_over(desk) .. '|-|', ''} end
local now = now_ms(ARGV[2])
local pauses = version_of_pauses(KEYS[7], now)
local gates = gates_of(timers, count, KEYS[1], KEYS[5], ARGV[1])
local queue, picked, next_due, in_lane =
  pick(trios, names, count, want, pauses and KEYS[7], now, gates, desk, tonumber(ARGV[6]), KEYS[5], KEYS[idle + 2])
local ids, lengths, states, lost, marks, brought = '', '', '', '', '', {'', ''}
if queue > 0 then
  ids, lengths, states, lost, marks, brought =
    reserve(ARGV[names + queue - 1], picked, KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], desk, ARGV[7] == '1', in_lane)
  local ready, token = KEYS[trios + queue * 3 - 3], KEYS[trios + queue * 3 - 1]
  -- Who takes jobs away may leave some that an idle peer should run, or a timer that it should keep.
  if redis.call('EXISTS', token) == 0 and (next_due > 0 or redis.call('EXISTS', ready, KEYS[rings + queue - 1]) > 0) then
    wake(token, 1)
  end
else
  for at = 1, count do redis.call('DEL', KEYS[trios + at * 3 - 1]) end
  -- Who has more to do first, for which it needs no job, does not wait yet.
  if ARGV[9] ~= '' and not pauses and left_over(desk) == '' then
    -- Here _offer
    offer(KEYS[idle], ARGV[1], ARGV[9], offers, count, now, ARGV[10])
  end
end
if lost ~= '' then next_due = now end
local pause = next_due < 0 and -1 or math.max(0, next_due - now)
brought[1] = table.concat({string.format('%.0f', pause), queue, ids, lengths, states, refused, lost, marks, left_over(desk), pauses or '', gates and gates.slotted or ''}, '|')
return brought
