-- Store one job with a tie that counts: its claim is taken, its batch and its chain are told.
-- KEYS[1] pusher      {onqueue:redis}:pusher:5f0c:0
-- KEYS[2..] seen      {onqueue:redis}:seen:<id>, only when pushed once
-- ARGV[1] sequence    number of this push of this pusher
-- ARGV[2] repeated    1 when an earlier answer to this sequence was lost, else 0
-- ARGV[3] once        ms for which an id is refused again
-- ARGV[4] desk        names and keys of what ties may change
-- ARGV[5] parcel      the job
-- Returns the id of the job that stands for it now: its own or another's; "" when it is known already
-- Flags none
-- Includes _settlement
if ARGV[2] == '1' then
  local last, answer = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%S*)$')
  if last == ARGV[1] then return answer end
end
local stands, todo = '', {}
if #KEYS < 2 or redis.call('EXISTS', KEYS[2]) == 0 then
  local desk = desk_of(ARGV[4])
  stands = refused_by(desk, job_in(ARGV[5]))
  if not stands then
    if #KEYS > 1 then redis.call('SET', KEYS[2], '1', 'PX', ARGV[3]) end
    stands = post(desk, ARGV[5], todo)
    carry_out(desk, todo)
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. stands, 'EX', 60)
return stands
