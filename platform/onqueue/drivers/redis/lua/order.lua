-- Have a held job cancelled: its holder's parent is told, and should that die, the job is not run again.
-- KEYS[1] holders   {onqueue:redis}:holders
-- KEYS[2] held      {onqueue:redis}:held:<holder>
-- KEYS[3] orders    {onqueue:redis}:orders:<holder>
-- KEYS[4] ties      {onqueue:redis}:ties
-- ARGV[1] holder    token
-- ARGV[2] id        of the job
-- ARGV[3] order     what the parent reads
-- Returns 1 done, 0 the holder does not hold the job
-- Flags allow-oom
-- Includes _alive
if not alive(KEYS[1], ARGV[1]) or redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
local text = redis.call('HGET', KEYS[4], ARGV[2])
local tie = text and cjson.decode(text) or {}
tie.x = 1
-- A removal first lets the script pass on a full server older than 7.0.
redis.call('HDEL', KEYS[4], ARGV[2])
redis.call('HSET', KEYS[4], ARGV[2], cjson.encode(tie))
redis.call('RPUSH', KEYS[3], ARGV[3])
redis.call('EXPIRE', KEYS[3], 3600)
return 1
