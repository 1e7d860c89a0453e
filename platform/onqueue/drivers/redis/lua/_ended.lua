-- Includes _clock _wake _ready _postpone _desk
local function account_for(desk, todo)
  -- Here _settlement
  carry_out(desk, todo)
end

-- Who knows that all of them have one tie, or at most a lane each, says so: `tie` is its text, or "-".
local function ended(ids, outcome, payloads, state, desk, tie)
  local ties = desk and not tie and redis.call('HMGET', desk.ties, unpack(ids))
  redis.call('HDEL', payloads, unpack(ids))
  if redis.call('EXISTS', state) == 1 then redis.call('HDEL', state, unpack(ids)) end
  if not desk then return end
  redis.call('HDEL', desk.ties, unpack(ids))
  if tie == '-' then return end
  if tie then return account_for(desk, {{cjson.decode(tie), ids, outcome}}) end
  local todo, alike = {}, {}
  for at, id in ipairs(ids) do
    local text = ties[at]
    -- Nothing depends on the end of a job that only lies in a lane.
    if text and not is_lane(text) and has_part(text, '"b":', '"c":', '"u":') then
      local task = alike[text]
      if task then
        table.insert(task[2], id)
      else
        task = {cjson.decode(text), {id}, outcome}
        todo[#todo + 1] = task
        -- Members of a batch are counted together.
        if not (task[1].c or task[1].u) then alike[text] = task end
      end
    end
  end
  if #todo > 0 then account_for(desk, todo) end
end
