-- Delete what is known of a batch; a chain that waits for it breaks.
-- KEYS[1] batch       {onqueue:redis}:batch:<id>
-- KEYS[2] members     {onqueue:redis}:batch-members:<id>
-- KEYS[3] batches     {onqueue:redis}:batches
-- ARGV[1] id          of the batch
-- ARGV[2] desk        names and keys of what its tie may change
-- Returns 1 deleted, 0 there was none
-- Flags allow-oom
-- Includes _settlement
local tie, over = unpack(redis.call('HMGET', KEYS[1], 'tie', 'finished_at'))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('UNLINK', KEYS[2])
local found = redis.call('UNLINK', KEYS[1])
if tie and tie ~= '' and not over then carry_out(desk_of(ARGV[2]), {{cjson.decode(tie), {ARGV[1]}, 'cancelled'}}) end
return found
